"""What the tests of training share: a dataset on disk, specs, stored jobs."""

import json
from pathlib import Path
from typing import Any

from models.training import DatasetRef, TrainingSpec
from models.training.contents import content_hash

ROWS = 8


def a_dataset(folder: Path, *, name: str = "news", **changes: Any) -> DatasetRef:
    """Eight training rows and two validation rows below `folder`."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", ROWS), ("validation", 2)):
        lines = [json.dumps(a_row(f"{part}{number}")) for number in range(count)]
        (place / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    values: dict[str, Any] = {
        "name": name,
        "hash": content_hash(place),
        "folder": str(place),
        "train_rows": ROWS,
        "validation_rows": 2,
        "train_tokens": 80,
    }
    return DatasetRef(**{**values, **changes})


def a_dataset_folder(folder: Path, *, name: str = "news") -> Path:
    """The same with its manifest, as commands take it."""
    from producers.datasets.manifest import (  # noqa: PLC0415 # workers' tests know no producers
        Lengths,
        Manifest,
        Part,
        PartTokens,
        Tokens,
    )

    ref = a_dataset(folder, name=name)
    tokens = Tokens(tokenizer="test", parts={"train": PartTokens(all=Lengths(total=80))})
    manifest = Manifest(
        name=name,
        kind="chat",
        hash=ref.hash,
        parts={"train": Part(rows=ref.train_rows), "validation": Part(rows=ref.validation_rows)},
        tokens=tokens,
        created_at="2026-11-23T00:00:00Z",
        maestrale="0",
    )
    path = Path(ref.folder)
    (path / "dataset.json").write_text(manifest.model_dump_json())
    return path


def a_row(row_id: str) -> dict[str, Any]:
    """A chat of one question and its answer."""
    said = [{"role": "user", "content": f"Is {row_id} news?"}]
    return {"id": row_id, "messages": [*said, {"role": "assistant", "content": "yes"}], "meta": {}}


def a_spec(dataset: DatasetRef, **changes: Any) -> TrainingSpec:
    """Five steps of a base that is nowhere."""
    values = {"trainer": "local", "base": "smollm2", "name": "news-smollm2", "steps": 5}
    return TrainingSpec(**{**values, "dataset": dataset, **changes})
