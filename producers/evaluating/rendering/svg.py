"""Matplotlib's SVG, made fit to stand in a page: nothing in it is a style, a link or metadata.

The page's policy forbids styles on elements, so they become attributes; colours become classes
besides, so that a dark page may have its own; ids are made unlike those of other charts. Pure.
"""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as Tree

DROPPED = {"metadata", "style"}
JOINTS = {"stroke-linejoin": "round", "stroke-linecap": "butt"}
"""What matplotlib says in a style sheet of its own."""
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG = re.compile(r"(-?\d+\.\d{2})\d+")


def embedded(source: str, prefix: str, classes: Mapping[str, str]) -> str:
    """The `<svg>` element of a document. `prefix`: of its ids; `classes`: name by colour."""
    root = Tree.fromstring(source)  # noqa: S314 # what matplotlib wrote just now
    _clean(root, prefix, classes)
    box = root.get("viewBox", "")
    root.attrib.clear()
    kept = {"class": "chart", "viewBox": box, "aria-hidden": "true", "focusable": "false"}
    root.attrib.update({**kept, **JOINTS})
    return Tree.tostring(root, encoding="unicode")


def _clean(element: Tree.Element, prefix: str, classes: Mapping[str, str]) -> None:
    element.tag = _bare(element.tag)
    told = {_bare(name): value for name, value in element.attrib.items()}
    told |= _declared(told.pop("style", ""))
    element.attrib.clear()
    element.attrib.update({name: _told(name, value, prefix) for name, value in told.items()})
    if named := _classes(told, classes):
        element.set("class", named)
    for child in list(element):
        if _bare(child.tag) in DROPPED:
            element.remove(child)
        else:
            _clean(child, prefix, classes)


def _bare(name: str) -> str:
    return name.rpartition("}")[2]


def _declared(style: str) -> dict[str, str]:
    """`fill: #000; stroke: none` as attributes."""
    pairs = (part.partition(":") for part in style.split(";") if ":" in part)
    return {name.strip(): value.strip() for name, _colon, value in pairs}


def _told(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    if name == "d":
        return _LONG.sub(r"\1", value)
    return _REFERENCE.sub(rf"url(#{prefix}-\1)", value)


def _classes(told: Mapping[str, str], classes: Mapping[str, str]) -> str:
    """`f-ink k-s1`: what it is filled and drawn with."""
    parts = (("f", told.get("fill", "")), ("k", told.get("stroke", "")))
    return " ".join(f"{part}-{classes[tone]}" for part, tone in parts if tone in classes)
