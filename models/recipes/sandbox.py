"""The Jinja2 environment of recipes: what a template can reach, and how large it can grow.

Rows and answers are data: they are never parsed as templates. The recipe itself is half trusted: it
may be slow (each of its `MAX_ITEMS` loop rounds may scan a long text, and its regular expressions
are Python's), but it cannot reach Python, files or the network, and cannot eat the memory:

* attributes: only keys of objects and the methods in `_METHODS`; `str.format`, `ljust` and the like
  do not exist; nothing can be changed;
* operators: `*`, `**`, `+`, `~` and `%` are checked before they are done;
* values: texts and lists are paid for when they are made, out of one budget for each render;
* statements: `if`, `for`, `set x = ...`, `with`; no macros, includes, imports, blocks, recursion;
* globals: `range` (10,000 numbers at most) only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.recipes.filters import CAPS, INTERNAL, PUBLIC, Caps, charged, check_length
from models.recipes.strict_json import Json

MAX_RANGE = 10_000
MAX_NESTING = 100
"""Levels of statements, operators and filters in each other, as those of `a + b + c + ...` are;
Python's own compiler gives up soon after, with less to say."""
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        {
            *("capitalize", "count", "endswith", "find", "isdigit", "lower", "lstrip", "partition"),
            *("removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip", "split"),
            *("splitlines", "startswith", "strip", "title", "upper"),
        }
    ),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    LoopContext: frozenset(
        {
            *("changed", "cycle", "first", "index", "index0", "last", "length", "nextitem"),
            *("previtem", "revindex", "revindex0"),
        }
    ),
}
_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign),
    *(nodes.With, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice),
    *(nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword, nodes.Compare, nodes.Operand),
    *(nodes.BinExpr, nodes.UnaryExpr, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair),
    *(nodes.CondExpr, nodes.Concat),
)


class Missing(StrictUndefined):
    """An undefined variable whose complaint lists what is there instead."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if isinstance(self._undefined_obj, dict):
            there = ", ".join(str(key) for key in list(self._undefined_obj)[:12]) or "nothing"
            return f"there is no {self._undefined_name!r} here; there is: {there}"
        return super()._undefined_message


def few(*bounds: int) -> range:
    """`range` of at most `MAX_RANGE` numbers."""
    numbers = range(*bounds)
    if numbers[MAX_RANGE:]:
        raise SecurityError(f"range() gives at most {MAX_RANGE} numbers")
    return numbers


def _check_plus(left: Json, right: Json, caps: Caps) -> None:
    for kind, limit in ((str, caps.text), (list, caps.items), (tuple, caps.items)):
        if isinstance(left, kind) and isinstance(right, kind):
            check_length(len(left) + len(right), limit)


def _check_times(left: Json, right: Json, _: Caps) -> None:
    for many, count in ((left, right), (right, left)):
        if isinstance(many, (str, list, tuple)) and isinstance(count, int):
            check_length(len(many) * max(count, 0), MAX_RANGE)
    if isinstance(left, int) and isinstance(right, int):
        check_length(left.bit_length() + right.bit_length(), 4096)


def _check_power(left: Json, right: Json, _: Caps) -> None:
    if abs(right) > 64 or abs(left) > 10**9:
        raise SecurityError("** takes bases up to 10**9 and exponents up to 64")


def _check_modulo(left: Json, right: Json, _: Caps) -> None:
    if isinstance(left, str):
        raise SecurityError("% formats no text here: write {{ ... }} or use ~")


_CHECKS: dict[str, Callable[[Json, Json, Caps], None]] = {
    "+": _check_plus,
    "*": _check_times,
    "**": _check_power,
    "%": _check_modulo,
}


@contextmanager
def only_syntax_errors() -> Iterator[None]:
    """Whatever parsers and compilers raise becomes a `TemplateSyntaxError`."""
    try:
        yield
    except (ArithmeticError, MemoryError, RecursionError, SyntaxError, ValueError) as error:
        raise TemplateSyntaxError(f"it cannot be used ({error}); make it simpler", 1) from None


def _check_nesting(tree: nodes.Template) -> None:
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_NESTING):
        level = [part for whole in level for part in whole.iter_child_nodes()]
    if level:
        raise TemplateSyntaxError(
            f"it is nested more than {MAX_NESTING} levels deep, or a chain of more than "
            f"{MAX_NESTING} operators; make it simpler",
            level[0].lineno,
        )


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 for recipes: no loader, no autoescape (prompts are no HTML), undefined is an error."""

    intercepted_binops = frozenset(_CHECKS)

    def __init__(self) -> None:
        super().__init__(
            undefined=Missing,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
        )
        self.globals = {"range": few}
        self.filters = {**PUBLIC, **INTERNAL}

    def getattr(self, obj: Json, attribute: str) -> Json:
        """Keys before methods, so that a field called `items` or `values` is a field."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Json, attr: str, value: Json) -> bool:
        """Only what `_METHODS` lists."""
        return attr in _METHODS.get(type(obj), ())

    def wrap_str_format(self, value: Json) -> None:
        """Jinja2 would hand out a formatter of its own, and `{:>1000000000}` makes a gigabyte."""
        return

    def call_binop(self, context: Context, operator: str, left: Json, right: Json) -> Json:
        """Check an operator, then do it; undefined operands complain by themselves."""
        if not isinstance(left, Undefined) and not isinstance(right, Undefined):
            _CHECKS[operator](left, right, context.parent[CAPS])
        return charged(context, self.binop_table[operator](left, right))

    def call(self, context: Context, method: Json, /, *args: Json, **kwargs: Json) -> Json:
        """Call a method; what it makes is paid for."""
        return charged(context, super().call(context, method, *args, **kwargs))

    def call_filter(self, name: str, value: Json, *how: Json, **more: Json) -> Json:
        """A filter that `map` applies; what it makes is paid for."""
        return charged(more["context"], super().call_filter(name, value, *how, **more))

    def parse_checked(self, source: str) -> nodes.Template:
        """The syntax tree; `TemplateSyntaxError` also for statements a recipe may not use."""
        with only_syntax_errors():
            tree = self.parse(source)
            _check_nesting(tree)
            for node in tree.find_all(nodes.Node):
                self._check_node(node)
            return tree

    def _check_node(self, node: nodes.Node) -> None:
        if not isinstance(node, _NODES) or (isinstance(node, nodes.For) and node.recursive):
            word = type(node).__name__.lower()
            raise TemplateSyntaxError(
                f"{word!r} cannot be used in a recipe: only if, for, set x = ..., with", node.lineno
            )
        if isinstance(node, nodes.Filter) and (node.name not in PUBLIC or node.node is None):
            known = ", ".join(sorted(PUBLIC))
            raise TemplateSyntaxError(
                f"there is no filter {node.name!r}; there are: {known}", node.lineno
            )


SANDBOX = Sandbox()
"""One environment is enough: it holds no state of a recipe or row."""
