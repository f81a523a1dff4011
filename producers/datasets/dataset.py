"""A dataset that stands: its manifest, its rows, and what a training run needs of it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from models.errors import BadInputError, SetupError
from models.settings import Settings
from models.training.contents import ALL_PARTS, content_hash
from models.training.counts import Counts
from models.training.spec import DatasetRef
from producers.datasets import folders
from producers.datasets.by_base import Uncounted, counts_of
from producers.datasets.counting import count_parts, tokenizer_for
from producers.datasets.manifest import Manifest, Tokens
from producers.datasets.rows import read_rows
from producers.datasets.shaping import Row
from producers.datasets.writing import write_manifest


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
        return [part for part in ALL_PARTS if part in self.manifest.parts]

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
        return read_rows(self.path(part), self.name)

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

    def keep_tokens(self, found: Tokens) -> None:
        """Notes Mistral's tokens in the manifest, from where plans take them.

        Best done: not of rows that are not the manifest's, nor where nothing can be written.
        """
        if self.is_unchanged():
            with suppress(OSError):
                manifest = self.manifest.model_copy(update={"tokens": found})
                write_manifest(self.folder, manifest)

    def count_for(self, base: str, seq_len: int, settings: Settings) -> Counts:
        """Tokens of each part as a local training of `base` would read them.

        Raises `SetupError` where they cannot be counted, `BadInputError` where none could train.
        """
        found = counts_of(self._anywhere(), base, seq_len, settings, self.parts)
        if isinstance(found, Uncounted):
            raise SetupError(f"the tokens cannot be counted by the base's tokenizer: {found.why}")
        return found

    def _anywhere(self) -> DatasetRef:
        """As `ref`, split or not."""
        rows = self.manifest.rows
        folder = str(self.folder.resolve())
        return DatasetRef(name=self.name, hash=self.manifest.hash, folder=folder, train_rows=rows)

    def is_checked(self) -> bool:
        """Whether all rows kept the trainers' rules when they were written, and no file is new.

        By sizes and times, without reading a row: what escapes it, the hash shows a training.
        """
        if not self.manifest.checked or self.manifest.checked != self.manifest.hash:
            return False
        try:
            written = (self.folder / folders.MANIFEST).stat().st_mtime_ns
            found = {part: self.path(part).stat() for part in self.parts}
        except OSError:
            return False
        return all(
            stat.st_mtime_ns <= written and stat.st_size == self.manifest.parts[part].bytes
            for part, stat in found.items()
        )

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
