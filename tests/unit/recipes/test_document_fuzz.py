"""Whatever stands in a recipe, suite or pipeline, it loads or is refused in words."""

import json
import math
import shutil
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from confined import Limits, confined, out_of_memory
from drawn import some
from hostile_templates import BIG, DEEP, WALKS
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import BadInputError
from models.pipelines import load_pipeline, shipped_pipelines
from models.recipes import Compiled, RowProblem, load_recipe, shipped_recipes
from models.suites import load_suite, shipped_suites

SHIPPED = Path(__file__).parents[3] / "recipes"
ROW = {"id": "1", "text": "A text.", "questions": ["Why?"], "language": "French"}
FOUND: dict[str, tuple[Callable[[str], object], Callable[[], dict[str, str]]]] = {
    "recipe.toml": (load_recipe, shipped_recipes),
    "suite.toml": (load_suite, shipped_suites),
    "pipeline.toml": (load_pipeline, shipped_pipelines),
}
DOCUMENTS = [(name, file) for file, (_, known) in FOUND.items() for name in sorted(known())]

HOSTILE = st.sampled_from(
    [
        *(
            "",
            "x",
            "\0",
            "..",
            "../../etc/passwd",
            "/dev/zero",
            "{{",
            "{{ vars.x }}",
            "row.",
            "a" * 9999,
        ),
        *(
            "{{ row.text.__class__ }}",
            "(a+)+$",
            "(",
            "[",
            "row.questions",
            "job_1",
            "5 euro",
            "{% x %}",
        ),
        *(
            "{{ stages.a.b }}",
            "stage:figure",
            ":",
            "1e9",
            "-1",
            "steps",
            "number",
            "C:\\x",
            "\u2028",
        ),
        *(0, -1, 1, 2**63, 10**30, 1e308, math.inf, math.nan, 0.5, True, False),
        *(
            [],
            {},
            [[]],
            [{}],
            {"a": {}},
            {"": 1},
            ["x", "x"],
            [0],
            {"type": "nonsense"},
            {"$ref": "#"},
        ),
        *(
            {"$ref": "https://127.0.0.1/x"},
            {"type": "object", "properties": {"a": {"$ref": "#/b"}}},
        ),
        *({"pattern": "("}, {"allOf": [{"$ref": "#"}]}, {"enum": []}),
        *DEEP[:4],
        *WALKS[:4],
        BIG + "{{ b.upper() }}",
    ]
)
NAMES = st.sampled_from(["nmae", "", "a b", "prompt_file", "question_file", "kind", "after"])
HUGE = (b"[" * 3000, b"a." * 3000, b"{a=" * 900, b"9" * 5000)
SMALL = (b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"[", b"]", b"=", b'"""', b"'''", b"{{", b"inf")
SENSE = (b"[[steps]]\n", b"\n[steps]\n", b"1979-05-27", b"prompt_file = '../x'\n", b"\\ud800")
TOKENS = st.sampled_from([*HUGE, *SMALL, *SENSE])


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a document holds something, the deepest too."""
    listed = value if isinstance(value, list) else ()
    for key, part in value.items() if isinstance(value, dict) else enumerate(listed):
        yield (*path, key)
        yield from _places(part, (*path, key))


def _written(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return {"NaN": "nan", "Infinity": "inf"}.get(text := json.dumps(value), text)


@st.composite
def mutated(draw: st.DrawFn, text: str) -> bytes:
    """The document with keys taken away, renamed, doubled, or given what is not theirs."""
    data = tomllib.loads(text)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(data))
        *path, key = draw(st.sampled_from(places))
        parent = data
        for step in path:
            parent = parent[step]
        match draw(st.integers(0, 4)), parent:
            case 0, _:
                del parent[key]
            case 1, dict():
                parent[draw(NAMES)] = deepcopy(parent[key])
            case 2, list():
                parent.append(deepcopy(parent[key]))
            case 3, _:
                parent[key] = {"x": parent[key]} if draw(st.booleans()) else [parent[key]]
            case _:
                parent[key] = deepcopy(draw(HOSTILE))
        if not data:
            break
    return "\n".join(f"{json.dumps(k)} = {_written(v)}" for k, v in data.items()).encode()


@st.composite
def battered(draw: st.DrawFn, text: str) -> bytes:
    """The file with bytes changed, put in and cut out."""
    content = bytearray(text.encode())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        until = at + draw(st.integers(0, 30))
        content[at:until] = draw(TOKENS | st.binary(max_size=4) | st.just(b""))
    return bytes(content)


def judge(loaded: Callable[[str], object], path: Path) -> str:
    """Loads the document and, if it is a recipe, tries it on a row."""
    try:
        found = loaded(str(path))
        if loaded is load_recipe:
            Compiled(found).preview(dict(ROW))  # type: ignore[arg-type]
    except (BadInputError, RowProblem) as error:
        assert not out_of_memory(error), f"the memory was full: {error}"
        assert len(str(error)) < 20_000 and "Traceback" not in str(error)
        return "refused"
    return "taken"


@pytest.mark.parametrize(("name", "file"), DOCUMENTS)
def test_no_document_falls_over(tmp_path: Path, name: str, file: str) -> None:
    """Within a quarter of a gigabyte and five seconds each, by the kernel's word."""
    folder = shutil.copytree(SHIPPED / name, tmp_path / name)
    text = (folder / file).read_text("utf-8")
    loaded, _ = FOUND[file]

    def work(limits: Limits) -> dict[str, int]:
        counts = {"taken": 0, "refused": 0}

        @some(25)
        @given(mutated(text) | battered(text))
        @example(b"")
        @example(b"a = " + b"[" * 100_000)
        @example(b"[" + b"a." * 400_000 + b"a]")
        @example(b'"a".' * 200_000 + b"a = 1")
        @example(b"x = {'a' . " + b"'a' . " * 100_000 + b"'a' = 1}")
        @example(b"a = " + b"9" * 100_000)
        @example(text.encode("utf-16"))
        def each(content: bytes) -> None:
            (folder / file).write_bytes(content)
            limits.begin(content)
            counts[judge(loaded, folder / file)] += 1

        each()
        return counts

    counts = confined(work)
    assert counts["refused"] > 10 and sum(counts.values()) >= 25, counts  # type: ignore[index,attr-defined]
