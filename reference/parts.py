"""Sections of a format's page: one for each table that its TOML may hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from models.recipes.documents import Shape
from reference.fields import Told, told_of
from reference.markdown import anchor, code, table

Links = Mapping[type[BaseModel], str]
HEAD = ("key", "takes", "default", "what it is")


@dataclass(frozen=True)
class Section:
    """A part of a document under its heading.

    `more`: keys besides the part's own, with their meaning. `instead`: what stands in for keys
    that are not written, though the part needs them. `without`: a part that it is made of and that
    has a section of its own.
    """

    title: str
    part: type[BaseModel]
    more: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    without: type[BaseModel] | None = None


def sections(all_of_them: Sequence[Section], shape: Shape, others: Links | None = None) -> str:
    """Every section with its text and its table; `others`: where parts stand that have none."""
    links = {one.part: f"#{anchor(one.title)}" for one in all_of_them}
    return "\n".join(_section(one, shape, {**links, **(others or {})}) for one in all_of_them)


def _section(one: Section, shape: Shape, links: Links) -> str:
    in_files = shape.files_of(one.part)
    elsewhere = told_of(one.without) if one.without else []
    own = [told for told in told_of(one.part) if told not in elsewhere]
    told = [*own, *(Told(key, "text", "", text) for key, text in one.more.items())]
    rows = [_row(key, one, in_files, links) for key in told]
    return f"## {one.title}\n\n{introduction(one.part)}\n\n{table(HEAD, rows)}"


def introduction(part: type[BaseModel]) -> str:
    """A part's docstring as one paragraph that ends with a full stop."""
    text = " ".join((part.__doc__ or "").split("\n\n")[0].split())
    return text if text.endswith(".") else f"{text}."


def _row(told: Told, section: Section, in_files: Sequence[str], links: Links) -> list[str]:
    default = section.instead.get(told.key, told.default)
    meaning = told.meaning
    if told.key in in_files:
        meaning += f" Or `{told.key}_file`: a file that holds it."
    return [code(told.key), _linked(told, links), default, meaning]


def _linked(told: Told, links: Links) -> str:
    link = links.get(told.part) if told.part else None
    return f"[{told.kind}]({link})" if link else told.kind
