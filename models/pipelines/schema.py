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
    """An identifier (small letters, digits, `_`), by which other stages read its outputs."""
    kind: str
    """What it does: one of those below."""
    after: list[Name] = Field(default_factory=list)
    """Stages to wait for although nothing of them is read."""


class Generate(Stage):
    """A job: rows become records by a recipe."""

    recipe: Text = "recipe.toml"
    """A file or folder beside the pipeline, or a shipped recipe."""
    input: Text = "{{ input }}"
    """The file of rows."""
    model: Text | None = None
    """Asked in every step instead of the recipe's own."""
    set: dict[Name, Variable] = Field(default_factory=dict)
    """Variables of the recipe."""
    limit: Count | None = None
    """Only the first so many rows."""
    via: Via = "realtime"
    """How calls go, as `--via`."""
    max_failed: Share = 0.05
    """More failed rows than this share: the stage fails."""
    max_rejected: Share = 0.05
    """More bad rows than this share: the file is refused."""
    on_duplicate: OnDuplicate = "stop"
    """Ids that occur twice: refuse the file, or keep one row of each."""


class MakeDataset(Stage):
    """Done at once: records become a dataset, divided."""

    sources: Texts = Field(alias="from", min_length=1)
    """Files, or ids of jobs."""
    prompt: Text | None = None
    """A template over the rows: makes conversations of any of them."""
    answer: Text | None = None
    """The same: the assistant's answer."""
    system: Text | None = None
    """The same: a system message before the prompt."""
    split: Text | None = None
    """`80/10/10`: how much goes to train, validation, test. Without it the dataset is whole."""
    split_field: Text | None = None
    """Instead of `split`: the rows' field that says `train`, `validation` or `test`."""
    group_by: str = ""
    """With `split`: the field of which rows with the same value stay together."""
    seed: Seed = 7
    """With `split`: another seed divides otherwise."""
    dedupe: Annotated[Literal["exact", "near", "none"], OrTemplate] = "near"
    """Which rows that say the same are left out."""
    threshold: Annotated[float, Field(ge=0.5, le=1), OrTemplate] = 0.9
    """How much prompts and answers of near ones share."""
    min_chars: Count | None = None
    """Shorter rows are left out."""
    max_chars: Count | None = None
    """Longer rows are left out."""
    max_tokens: Count | None = None
    """The same in Mistral's tokens."""
    forbid: Texts = Field(default_factory=list)
    """Regular expressions: rows that match are left out."""
    require_field: Texts = Field(default_factory=list)
    """Rows without these fields are left out."""
    max_rejected: Share = 0.05
    """More broken rows than this share: the stage fails."""
    on_duplicate: OnDuplicate = "stop"
    """Rows of one file with the same id: refuse the file, or keep one."""


class Embed(Stage):
    """A job: documents become a store that retrieval searches."""

    input: Text = "{{ input }}"
    """The file of documents."""
    text: Text
    """A template over the rows: what is embedded of one."""
    id: Text = "id"
    """The field that names a row."""
    model: Text = "mistral-embed"
    """Who embeds."""
    limit: Count | None = None
    """Only the first so many rows."""
    max_rejected: Share = 0.05
    """More bad rows than this share: the file is refused."""
    on_duplicate: OnDuplicate = "stop"
    """Ids that occur twice: refuse the file, or keep one row of each."""


class Ranking(Part):
    """How the suite of `rank_by` is put to the runs of a sweep."""

    data: Text | None = None
    """Rows to ask about instead of the suite's own."""
    judge: Texts | Text | None = None
    """Who judges instead of the suite's own."""
    prompt: Text | None = None
    """In which of the suite's prompts the runs are asked."""
    attempts: Count | None = None
    """How often each run is asked each row."""
    limit: Count | None = None
    """Only the first so many rows."""
    store: Text | None = None
    """The embedded store that is searched."""
    lowest: bool = False
    """Whether the lowest figure is the best."""


class Train(Stage):
    """A job, or a sweep whose best run is taken: a dataset becomes a tuned model."""

    dataset: Text
    """A dataset's name, or its folder."""
    base: Text
    """What is trained: a folder, a hub name, or the provider's model."""
    trainer: Annotated[Literal["local", "mistral"], OrTemplate] = "local"
    """On this machine, or with the provider."""
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS), OrTemplate] | None = None
    """Optimizer steps. One of `steps`, `epochs`, `tokens_seen`; without, each token is seen 3
    times."""
    epochs: Above0 | None = None
    """Passes over the training rows."""
    tokens_seen: Above0 | None = None
    """How often each token is seen."""
    lr: Annotated[float, Field(gt=0, le=1), OrTemplate] = 1e-4
    """Learning rate."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_BATCH), OrTemplate] = 8
    """Rows per step (local)."""
    seq_len: Annotated[int, Field(ge=16, le=MOST_SEQ_LEN), OrTemplate] = 1024
    """Tokens per row at most (local)."""
    rank: Annotated[int, Field(ge=1, le=MOST_RANK), OrTemplate] = 16
    """Rank of the adapter (local)."""
    seed: Seed = 0
    """The same seed, data and machine give the same losses (local)."""
    patience: Annotated[int, Field(ge=0, le=MOST_COUNT), OrTemplate] = 0
    """Stop after so many validations without a better loss; 0: never (local)."""
    eval_every: Annotated[int, Field(ge=0, le=MOST_COUNT), OrTemplate] = 0
    """Steps between validations; 0: a tenth of the steps (local)."""
    validation: Text | None = None
    """Another file to validate on than the dataset's part."""
    sweep: dict[str, Annotated[list[Any], OrTemplate]] = Field(default_factory=dict)
    """Choices to compare, by option: `{ lr = [1e-5, 6e-5], steps = [50, 150] }`."""
    rank_by: Text = VALIDATION_LOSS
    """Which run of the sweep is best: that with the lowest `validation_loss`, or the best figure of
    a suite that all runs are put to, `suite.toml:accuracy`; `suite.toml:faithfulness+relevancy`:
    the best mean of both."""
    ranking: Ranking = Ranking()
    """How they are put to that suite."""


class Evaluate(Stage):
    """A job: models are put to a suite, and a report is made."""

    suite: Text = "suite.toml"
    """A file or folder beside the pipeline, or a shipped suite."""
    models: Texts = Field(default_factory=list)
    """Each perhaps with `@prompt`; up to four are all compared with each other (three before a
    judge), of more the first with each. None for a suite of judges."""
    data: Text | None = None
    """Rows to ask about instead of the suite's own."""
    attempts: Count | None = None
    """How often each model is asked each row, instead of the suite's own."""
    judge: Texts | Text | None = None
    """Who judges, or several who are compared, instead of the suite's own."""
    store: Text | None = None
    """The embedded store that is searched."""
    limit: Count | None = None
    """Only the first so many rows."""
    via: Via = "realtime"
    """How calls go, as `--via`."""
    max_failed: Share = 0.05
    """More failed rows than this share: the stage fails."""
    max_rejected: Share = 0.05
    """More bad rows than this share: the file is refused."""
    on_duplicate: OnDuplicate = "stop"
    """Ids that occur twice: refuse the file, or keep one row of each."""


class MakeReview(Stage):
    """Done at once: pairs of answers are laid out for people to judge."""

    evaluation: Text
    """The job of the evaluation: `{{ exam.job }}`."""
    question: Text
    """What reviewers are asked."""
    pairs: Count = 50
    """How many pairs, chosen by chance."""
    models: Texts | None = None
    """The two whose answers are paired, if the evaluation has more."""
    seed: Seed | None = None
    """Makes the same choice and sides again. Without it they are drawn, so that nobody can guess
    who stands where."""
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


class Document(Part):
    """A pipeline as it is written.

    Its stages are looked at one by one, each by its kind.
    """

    name: PipelineName
    """Small letters, digits, `-`, `_`; at most 64."""
    description: str = ""
    """One line, shown where a run is planned."""
    input: Text | None = None
    """Rows to run on unless `--input` names others: a file beside the pipeline's."""
    variables: dict[Name, Variable] = Field(default_factory=dict)
    """Texts, numbers, true or false that templates read as `vars.x`; `--set x=...` sets others."""
    stages: list[dict[str, Any]] = Field(min_length=1)
    """What is done: each by its kind."""


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
