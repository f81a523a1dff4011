"""A pipeline as data: what its TOML may say, and the snapshot that a run carries.

A stage's keys are templates over `input`, `vars` and the outputs of other stages. They are checked
twice by the same model: as written, where a template may stand for any value, and as rendered.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    StringConstraints,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from models.bounds import MOST_BATCH, MOST_COUNT, MOST_RANK, MOST_SEED, MOST_SEQ_LEN, MOST_STEPS
from models.recipes.schema import Name, Part, Text
from models.recipes.variables import Variable

PipelineName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
VALIDATION_LOSS = "validation_loss"
RENDERED = "rendered"
"""Key of the validation's context: templates are no values any more."""


def _or_template(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    is_rendered = bool(info.context and info.context.get(RENDERED))
    if isinstance(value, str) and "{{" in value and not is_rendered:
        return value
    return handler(value)


OrTemplate = WrapValidator(_or_template)
Count = Annotated[int, Field(ge=1, le=MOST_COUNT), OrTemplate]
Share = Annotated[float, Field(ge=0, le=1), OrTemplate]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED), OrTemplate]
Above0 = Annotated[float, Field(gt=0), OrTemplate]
Texts = Annotated[list[Text], OrTemplate]
OnDuplicate = Annotated[Literal["stop", "first", "last"], OrTemplate]
Via = Annotated[Literal["realtime", "batch", "auto"], OrTemplate]


class StageKind(StrEnum):
    """What a stage does."""

    GENERATE = "generate"
    """A job: rows become records by a recipe."""
    DATASET = "dataset"
    """Done at once: records become a dataset, divided."""
    EMBED = "embed"
    """A job: documents become a store that retrieval searches."""
    TRAIN = "train"
    """A job, or a sweep whose best run is taken: a dataset becomes a tuned model."""
    EVALUATE = "evaluate"
    """A job: models are put to a suite, and a report is made."""
    REVIEW = "review"
    """Done at once: pairs of answers are laid out for people to judge."""


class Stage(Part):
    """What stages of every kind say."""

    name: Name
    kind: str
    after: list[Name] = Field(default_factory=list)
    """Stages to wait for although nothing of them is read."""


class Generate(Stage):
    """`kind = "generate"`"""

    recipe: Text = "recipe.toml"
    input: Text = "{{ input }}"
    model: Text | None = None
    """Asked in every step instead of the recipe's own."""
    set: dict[Name, Variable] = Field(default_factory=dict)
    """Variables of the recipe."""
    limit: Count | None = None
    via: Via = "realtime"
    max_failed: Share = 0.05
    max_rejected: Share = 0.05
    on_duplicate: OnDuplicate = "stop"


class MakeDataset(Stage):
    """`kind = "dataset"`; `prompt`, `answer` and `system` are templates over the rows."""

    sources: Texts = Field(alias="from", min_length=1)
    """Files, or ids of jobs."""
    prompt: Text | None = None
    answer: Text | None = None
    system: Text | None = None
    split: Text | None = None
    """`80/10/10`: train, validation, test."""
    split_field: Text | None = None
    group_by: str = ""
    seed: Seed = 7
    dedupe: Annotated[Literal["exact", "near", "none"], OrTemplate] = "near"
    threshold: Annotated[float, Field(ge=0.5, le=1), OrTemplate] = 0.9
    min_chars: Count | None = None
    max_chars: Count | None = None
    max_tokens: Count | None = None
    forbid: Texts = Field(default_factory=list)
    require_field: Texts = Field(default_factory=list)
    max_rejected: Share = 0.05
    on_duplicate: OnDuplicate = "stop"


class Embed(Stage):
    """`kind = "embed"`; `text` is a template over the rows."""

    input: Text = "{{ input }}"
    text: Text
    id: Text = "id"
    model: Text = "mistral-embed"
    limit: Count | None = None
    max_rejected: Share = 0.05
    on_duplicate: OnDuplicate = "stop"


class Ranking(Part):
    """`ranking = {...}`: how the suite of `rank_by` is put to the runs of a sweep."""

    data: Text | None = None
    judge: Texts | Text | None = None
    prompt: Text | None = None
    """In which of the suite's prompts the runs are asked."""
    attempts: Count | None = None
    limit: Count | None = None
    store: Text | None = None
    lowest: bool = False
    """Whether the lowest figure is the best."""


class Train(Stage):
    """`kind = "train"`"""

    dataset: Text
    base: Text
    trainer: Annotated[Literal["local", "mistral"], OrTemplate] = "local"
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS), OrTemplate] | None = None
    epochs: Above0 | None = None
    tokens_seen: Above0 | None = None
    lr: Annotated[float, Field(gt=0, le=1), OrTemplate] = 1e-4
    batch_size: Annotated[int, Field(ge=1, le=MOST_BATCH), OrTemplate] = 8
    seq_len: Annotated[int, Field(ge=16, le=MOST_SEQ_LEN), OrTemplate] = 1024
    rank: Annotated[int, Field(ge=1, le=MOST_RANK), OrTemplate] = 16
    seed: Seed = 0
    patience: Annotated[int, Field(ge=0, le=MOST_COUNT), OrTemplate] = 0
    eval_every: Annotated[int, Field(ge=0, le=MOST_COUNT), OrTemplate] = 0
    validation: Text | None = None
    """Another file to validate on than the dataset's part."""
    sweep: dict[str, Annotated[list[Any], OrTemplate]] = Field(default_factory=dict)
    """Choices to compare, by option: `{ lr = [1e-5, 6e-5], steps = [50, 150] }`."""
    rank_by: Text = VALIDATION_LOSS
    """Which run of the sweep is best: by `validation_loss`, or `suite.toml:figure`."""
    ranking: Ranking = Ranking()


class Evaluate(Stage):
    """`kind = "evaluate"`"""

    suite: Text = "suite.toml"
    models: Texts = Field(default_factory=list)
    """Each perhaps with `@prompt`; up to four are all compared with each other (three before a
    judge), of more the first with each. None for a suite of judges."""
    data: Text | None = None
    attempts: Count | None = None
    judge: Texts | Text | None = None
    store: Text | None = None
    limit: Count | None = None
    via: Via = "realtime"
    max_failed: Share = 0.05
    max_rejected: Share = 0.05
    on_duplicate: OnDuplicate = "stop"


class MakeReview(Stage):
    """`kind = "review"`"""

    evaluation: Text
    question: Text
    pairs: Count = 50
    models: Texts | None = None
    """The two whose answers are paired; None: the evaluation has two."""
    seed: Seed | None = None
    """None: drawn, so that nobody can guess who stands where."""
    wait: bool = False
    """Whether the run ends only when all pairs are judged."""


KINDS: Mapping[str, type[Stage]] = {
    StageKind.GENERATE: Generate,
    StageKind.DATASET: MakeDataset,
    StageKind.EMBED: Embed,
    StageKind.TRAIN: Train,
    StageKind.EVALUATE: Evaluate,
    StageKind.REVIEW: MakeReview,
}
"""What a stage of each kind may say."""
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
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    StageKind.GENERATE: ("job", "records", "count", "hash"),
    StageKind.DATASET: ("name", "folder", "train", "validation", "test", "counts", "hash"),
    StageKind.EMBED: ("job", "store", "path", "documents", "hash"),
    StageKind.TRAIN: ("job", "model", "base", "metrics", "hash"),
    StageKind.EVALUATE: ("job", "report", "figures", "hash"),
    StageKind.REVIEW: ("review", "pairs", "hash"),
}
"""What later stages may read of one, as `{{ pairs.records }}`."""


class Document(Part):
    """The file as written, before its stages are looked at one by one."""

    name: PipelineName
    description: str = ""
    input: Text | None = None
    """Rows to run on unless `--input` names others: a file beside the pipeline's."""
    variables: dict[Name, Variable] = Field(default_factory=dict)
    stages: list[dict[str, Any]] = Field(min_length=1)


class Prepared(Part):
    """A stage in a snapshot: its keys as written, and all that it names, inlined."""

    name: Name
    kind: Annotated[StageKind, Field(strict=False)]
    needs: list[Name]
    """Stages that must be done first, in the order of the file."""
    reads: list[Name]
    """Those of them whose outputs its templates read."""
    asked: dict[str, Any]
    """Every key that was written, templates unrendered."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    suite: dict[str, Any] = Field(default_factory=dict)
    suite_data: str | None = None
    """The file of the suite's own rows."""
    suite_file: str = ""
    """Where the suite was read from, or the name of one that comes with Maestrale."""


class Pipeline(Part):
    """What a run does: the snapshot that its job carries, files inlined but for those of rows."""

    name: PipelineName
    description: str = ""
    folder: str
    """Where relative files of rows lie."""
    file: str = ""
    """Where it was read from, or the name of one that comes with Maestrale."""
    input: str | None = None
    is_input_given: bool = False
    """Whether the input is another than its own."""
    variables: dict[Name, Variable] = Field(default_factory=dict)
    given: dict[Name, Variable] = Field(default_factory=dict)
    """Those of the variables that were set for this run."""
    stages: list[Prepared] = Field(min_length=1)

    def stage(self, name: str) -> Prepared:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)


class RunSpec(Part):
    """What the job of a run carries: the pipeline's snapshot, and how it is run."""

    pipeline: Pipeline
    again: bool = False
    """Whether nothing of earlier runs is taken over."""
    limit: int | None = None
    """So many rows of the input alone."""
    via: Literal["realtime", "batch", "auto"] | None = None
    """How calls are made where a stage does not say."""
