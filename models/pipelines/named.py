"""What the keys of a stage name, by its kind, and what it passes on to later ones."""

from collections.abc import Mapping

from models.pipelines.schema import StageKind

_JOB = "its job's id"
_HASH = "by which its content is known"

RAW: Mapping[str, frozenset[str]] = {
    StageKind.DATASET: frozenset({"prompt", "answer", "system"}),
    StageKind.EMBED: frozenset({"text"}),
}
"""Keys that are templates over rows: the pipeline leaves them as they are. They, and a review's
question, may stand in files (`text_file`)."""
FILES: Mapping[str, tuple[str, ...]] = {
    StageKind.GENERATE: ("input",),
    StageKind.DATASET: ("from",),
    StageKind.EMBED: ("input",),
    StageKind.TRAIN: ("validation", "ranking.data"),
    StageKind.EVALUATE: ("data",),
}
"""Keys that name files: relative ones lie in the pipeline's folder, and their content counts. A
dataset may be made `from` jobs, too."""
DATASETS: Mapping[str, str] = {StageKind.TRAIN: "dataset"}
STORES: Mapping[str, str] = {StageKind.TRAIN: "ranking.store", StageKind.EVALUATE: "store"}
"""Keys that name a dataset or an embedded store: their content counts."""
OUTPUTS: Mapping[str, Mapping[str, str]] = {
    StageKind.GENERATE: {
        "job": _JOB,
        "records": "the file of its records",
        "count": "how many they are",
        "hash": _HASH,
    },
    StageKind.DATASET: {
        "name": "the dataset's name, as `maestrale dataset` has it",
        "folder": "where it lies",
        "train": "the file of its part for training",
        "validation": "the file of its part for validation, if it has one",
        "test": "the file of its part for tests, if it has one",
        "counts": "rows by part: `counts.train`",
        "hash": _HASH,
    },
    StageKind.EMBED: {
        "job": _JOB,
        "store": "the store's name, as `--store` takes it",
        "path": "its file",
        "documents": "how many it has",
        "hash": _HASH,
    },
    StageKind.TRAIN: {
        "job": _JOB,
        "model": "the tuned model (of a sweep the best), as `models` of an evaluation name it",
        "base": "what it was trained from, named alike",
        "metrics": "its losses, steps and seconds: `metrics.valid_loss_after`",
        "hash": _HASH,
    },
    StageKind.EVALUATE: {
        "job": _JOB,
        "report": "the file of its report, HTML",
        "figures": "figures by model and name",
        "hash": _HASH,
    },
    StageKind.REVIEW: {
        "review": "the review's id",
        "pairs": "how many pairs it has",
        "hash": _HASH,
    },
}
"""What later stages may read of one, as `{{ pairs.records }}`."""
