"""A dataset that stands: its manifest, its rows, and what a training run needs of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import ValidationError

from models.errors import BadInputError
from models.settings import Settings
from models.training.contents import PARTS, UNSPLIT, content_hash
from models.training.spec import DatasetRef
from producers.datasets import folders
from producers.datasets.counting import count_parts, tokenizer_for
from producers.datasets.manifest import Manifest, Tokens
from producers.datasets.shaping import Row


@dataclass(frozen=True)
class Dataset:
    """A dataset's folder with its manifest, read once."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """What it is called."""
        return self.manifest.name

    @property
    def parts(self) -> list[str]:
        """`train`, `validation`, `test` as far as there are rows, or `rows` before the split."""
        return [part for part in (*PARTS, UNSPLIT) if part in self.manifest.parts]

    def path(self, part: str) -> Path:
        """The file of a part. Raises `BadInputError` if the dataset has no such part."""
        if part not in self.manifest.parts:
            raise BadInputError(
                f"the dataset {self.name} has no part {part!r}, but {', '.join(self.parts)}: "
                f"maestrale dataset split {self.name}"
            )
        return self.folder / f"{part}.jsonl"

    def rows(self, part: str = "train") -> Iterator[Row]:
        """The rows of a part in the order of its file, in constant memory.

        Raises `BadInputError` where the file is gone, or somebody broke a line of it.
        """
        try:
            with self.path(part).open("rb") as lines:
                yield from map(orjson.loads, lines)
        except (ValueError, OSError) as error:
            raise BadInputError(
                f"{part}.jsonl of the dataset {self.name} cannot be read: "
                f"`maestrale dataset validate {self.name}` says where; make it anew"
            ) from error

    def ref(self) -> DatasetRef:
        """What a training run is told. Raises `BadInputError` if there is no part `train`."""
        counts, tokens = self.manifest.parts, self.manifest.tokens
        self.path("train")
        train = tokens.parts.get("train") if tokens else None
        return DatasetRef(
            name=self.name,
            hash=self.manifest.hash,
            folder=str(self.folder.resolve()),
            train_rows=counts["train"].rows,
            validation_rows=counts["validation"].rows if "validation" in counts else 0,
            train_tokens=train.all.total if train else 0,
        )

    def count_tokens(self, model: str = "") -> Tokens:
        """Tokens of each part, counted anew: by a model folder's tokenizer, or Mistral's."""
        return count_parts({part: self.rows(part) for part in self.parts}, tokenizer_for(model))

    def is_unchanged(self) -> bool:
        """Whether the rows still have the hash of the manifest; reads them all."""
        try:
            return content_hash(self.folder) == self.manifest.hash
        except (ValueError, OSError):
            return False


def open_dataset(settings: Settings, name_or_path: str | Path) -> Dataset:
    """The dataset of that name, or in that folder.

    Raises `NotFoundError` if there is none, `BadInputError` if its manifest cannot be read.
    """
    folder = folders.find(settings, name_or_path)
    path = folder / folders.MANIFEST
    try:
        return Dataset(folder, Manifest.model_validate_json(path.read_bytes()))
    except (ValidationError, OSError) as error:
        raise BadInputError(f"{path} is no manifest of a dataset: make the dataset anew") from error
