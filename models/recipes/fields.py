"""Which variables a template reads, found in its syntax tree before any row is seen."""

from collections.abc import Iterable, Sequence

from jinja2 import meta, nodes

from models.recipes.sandbox import SANDBOX
from models.recipes.templates import name_of

Names = dict[str, set[str]]
_CHOOSING = ("default", "d", "select", "reject", "selectattr", "rejectattr")
"""Filters that stand in for what is empty, or leave it out of a list."""


def names_read(source: str) -> set[str]:
    """The top-level names a template reads and does not set itself (`row`, `vars`, steps, ...)."""
    tree = SANDBOX.parse_checked(source)
    named = {name.name for name in tree.find_all(nodes.Name)}
    return meta.find_undeclared_variables(tree) | (named & {"self"})  # jinja2 declares that one


def fields_read(source: str, root: str) -> set[str]:
    """The fields of `root` (`row`, `vars`) without which rendering fails.

    A field that the same template gives a `default` or tests with `is defined` or `"x" in row` is
    optional. What is read by a computed key is not seen here and fails at its row, by name.
    """
    tree = SANDBOX.parse_checked(source)
    return _required(tree, root) - _optional(tree, root)


def fields_printed(source: str, root: str) -> set[str]:
    """Those of `fields_read` that are printed whatever the row says, so that the text lacks
    something where one is empty.

    A field may be empty where the template asks if it is: by its truth, `or`, `none`, `''`, a
    length of 0. What only loops, lists that are not joined at once, arguments of filters or
    computed keys print is not seen.
    """
    tree = SANDBOX.parse_checked(source)
    walk = _Walk(root)
    return walk.printed(tree.body) & fields_read(source, root) - walk.asked_about(tree)


class _Walk:
    """Reads a template in its order, and knows which fields are in the names that it sets."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._names: Names = {}
        self._ever: Names = {}

    def printed(self, body: Iterable[nodes.Node]) -> set[str]:
        """What the statements print, whichever way their `if`s go."""
        return {field for node in body for field in self._statement(node)}

    def asked_about(self, tree: nodes.Template) -> set[str]:
        """Fields of which it is asked anywhere if they are empty; to be called after `printed`."""
        self._names = self._ever
        tests = [one.test for one in tree.find_all(nodes.If)]
        tests += [one.test for one in tree.find_all(nodes.CondExpr)]
        tests += [one.left for kind in (nodes.Or, nodes.And) for one in tree.find_all(kind)]
        return {field for test in tests for field in self._asked(test)}

    def _statement(self, node: nodes.Node) -> set[str]:
        match node:
            case nodes.Output(nodes=shown):
                return self._all(shown)
            case nodes.Assign(target=target, node=value):
                self._bind(target, self._shown(value))
            case nodes.With():
                return self._with(node)
            case nodes.If():
                return self._if(node)
            case _:
                pass
        return set()

    def _bind(self, target: nodes.Node, fields: set[str]) -> None:
        named = [target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name)
        for one in named:
            self._names[one.name] = fields
            self._ever[one.name] = self._ever.get(one.name, set()) | fields

    def _with(self, node: nodes.With) -> set[str]:
        outer, values = self._names, [self._shown(value) for value in node.values]
        self._names = dict(outer)
        for target, fields in zip(node.targets, values, strict=True):
            self._bind(target, fields)
        found = self.printed(node.body)
        self._names = outer
        return found

    def _if(self, node: nodes.If) -> set[str]:
        before = self._names
        found: list[set[str]] = []
        after: list[Names] = []
        for way in (node.body, *(other.body for other in node.elif_), node.else_):
            self._names = dict(before)
            found.append(self.printed(way))
            after.append(self._names)
        self._names = {
            name: set.intersection(*(names.get(name, set()) for names in after))
            for name in after[0]
        }
        return set.intersection(*found)

    def _all(self, parts: Iterable[nodes.Node | None]) -> set[str]:
        return {field for part in parts for field in self._shown(part)}

    def _shown(self, node: nodes.Node | None) -> set[str]:
        """Fields that are in the text of an expression whatever else is."""
        match node:
            case nodes.Name(name=name):
                return self._names.get(name, set())
            case nodes.CondExpr(expr1=one, expr2=other):
                return self._shown(one) & self._shown(other)
            case nodes.Getattr() | nodes.Getitem() if found := self._field(node):
                return found
            case _:
                return self._all(_parts(node))

    def _asked(self, test: nodes.Node | None) -> set[str]:
        match test:
            case nodes.And(left=one, right=other) | nodes.Or(left=one, right=other):
                return self._asked(one) | self._asked(other)
            case nodes.Compare(expr=one, ops=[nodes.Operand(expr=other)]):
                has_empty = _is_empty(one) or _is_empty(other)
                return self._asked(one) | self._asked(other) if has_empty else set()
            case (
                nodes.Not(node=inner)
                | nodes.Test(node=inner, name="none" | "defined")
                | nodes.Filter(node=inner, name="trim" | "length" | "count" | "string")
                | nodes.Call(node=nodes.Getattr(node=inner, attr="strip"))
            ):
                return self._asked(inner)
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._shown(test)
            case _:
                return set()

    def _field(self, access: nodes.Node) -> set[str]:
        path = _path(access)
        return {path[1]} if path[0] == self._root and len(path) > 1 else set()


def _parts(node: nodes.Node | None) -> Sequence[nodes.Node | None]:
    """What the text of an expression is made of."""
    match node:
        case nodes.Concat(nodes=parts) | nodes.Filter(name="join", node=nodes.List(items=parts)):
            return parts
        case nodes.Add(left=one, right=other):
            return [one, other]
        case nodes.Filter(name=name) if name in _CHOOSING:
            return []
        case (
            nodes.Filter(node=inner)
            | nodes.Call(node=inner)
            | nodes.Getattr(node=inner)
            | nodes.Getitem(node=inner)
        ):
            return [inner]
        case _:
            return []


def _is_empty(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and node.value in ("", None, 0)


def _required(tree: nodes.Template, root: str) -> set[str]:
    called = [call.node for call in tree.find_all(nodes.Call)]
    accesses = tree.find_all((nodes.Getattr, nodes.Getitem))
    paths = [_path(access) for access in accesses if access not in called]
    return {path[1] for path in paths if path[0] == root and len(path) > 1}


def _optional(tree: nodes.Template, root: str) -> set[str]:
    defaulted = [f.node for f in tree.find_all(nodes.Filter) if f.name in ("default", "d")]
    tested = [t.node for t in tree.find_all(nodes.Test) if t.name in ("defined", "undefined")]
    paths = [_path(access) for access in (*defaulted, *tested) if access is not None]
    excused = {path[1] for path in paths if path[0] == root and len(path) == 2}
    return excused | {_looked_up(compare, root) for compare in tree.find_all(nodes.Compare)}


def _path(access: nodes.Node) -> list[str]:
    return (name_of(access) or "").split(".")


def _looked_up(compare: nodes.Compare, root: str) -> str:
    match compare:
        case nodes.Compare(
            expr=nodes.Const(value=str(key)),
            ops=[nodes.Operand(op="in", expr=nodes.Name(name=name))],
        ) if name == root:
            return key
    return ""
