"""`pipelines.md`: every key of a pipeline, and what its stages pass on."""

from models.pipelines.loading import SHAPES
from models.pipelines.named import FILES, OUTPUTS, RAW
from models.pipelines.schema import KINDS, Document, Ranking, Stage, StageKind
from models.training.grid import AXES, MOST_RUNS, Axis
from reference.kinds import PLAIN, span
from reference.markdown import anchor, code, table
from reference.parts import Links, Section, sections

_INTRODUCTION = """\
# Keys of a pipeline

Made from `models/pipelines` by `make reference`: change it there. The guide, with a whole pipeline,
what is done again and what it will cost: [Pipelines](../pipelines.md).

A pipeline is a `pipeline.toml`, or any `.toml` file. What is **needed** has no default; an empty
default means that there is none. A key that is not here is refused, by name. Texts are templates
over `input`, `vars` and the outputs of other stages; one that is a single `{{ expression }}` keeps
its type, so that it may stand for a number or a list.

"""
_RANKING = "`ranking` of a sweep"


def page() -> str:
    """The whole page."""
    kinds = [_kind(StageKind(name)) for name in KINDS]
    ranking = sections([Section(_RANKING, Ranking)], SHAPES[StageKind.TRAIN])
    whole = [Section("Top level", Document), Section("Every stage", Stage)]
    document = sections(whole, SHAPES[StageKind.TRAIN])
    return "\n".join([f"{_INTRODUCTION}{document}", *kinds, ranking, _sweeps()])


def _kind(kind: StageKind) -> str:
    """A kind's keys, and its outputs."""
    links: Links = {Ranking: f"#{anchor(_RANKING)}"}
    own = Section(f'`kind = "{kind}"`', KINDS[kind], without=Stage)
    told = "What other stages may read of it by its name, here `it`:"
    rows = [[f"`{{{{ it.{name} }}}}`", what] for name, what in OUTPUTS[kind].items()]
    outputs = table(("output", "what it is"), rows)
    return f"{sections([own], SHAPES[kind], links)}\n{_asides(kind)}{told}\n\n{outputs}"


def _asides(kind: StageKind) -> str:
    raw = ", ".join(map(code, sorted(RAW.get(kind, ()))))
    files = ", ".join(map(code, FILES.get(kind, ())))
    told = f"Over rows, and left as they are by the pipeline: {raw}. " if raw else ""
    told += f"Relative files are those of the pipeline's folder: {files}.\n\n" if files else ""
    return told


def _sweeps() -> str:
    rows = [[code(name), _axis(axis)] for name, axis in AXES.items()]
    return (
        "## What a sweep may vary\n\n"
        f"By `sweep = {{...}}` or `maestrale train --sweep`; {MOST_RUNS} runs at most.\n\n"
        + table(("axis", "takes"), rows)
    )


def _axis(axis: Axis) -> str:
    is_above = axis.kind is float and not axis.least
    return f"{PLAIN[axis.kind]}, {span(axis.least, axis.most, 'above 0' if is_above else '')}"
