"""Which variables a template reads, found in its syntax tree before any row is seen."""

from collections.abc import Iterator

from jinja2 import meta, nodes

from models.recipes.sandbox import SANDBOX
from models.recipes.templates import name_of


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

    What is printed in an `if` or a loop, or asked about by `if`, `or` or `and`, may be empty.
    """
    tree = SANDBOX.parse_checked(source)
    printed = {path[1] for path in _printed(tree) if path[0] == root and len(path) > 1}
    return (printed & fields_read(source, root)) - _asked_about(tree, root)


def _printed(node: nodes.Node) -> Iterator[list[str]]:
    if isinstance(node, nodes.Output):
        for child in node.nodes:
            yield from _plain(child)
    elif not isinstance(node, (nodes.If, nodes.For)):
        for inner in node.iter_child_nodes():
            yield from _printed(inner)


def _plain(shown: nodes.Node | None) -> Iterator[list[str]]:
    """What is printed as it is, or through filters, methods and slices."""
    match shown:
        case nodes.Filter(node=inner) | nodes.Call(node=inner):
            yield from _plain(inner)
        case nodes.Getitem(node=inner, arg=nodes.Slice()):
            yield from _plain(inner)
        case nodes.Concat(nodes=parts):
            for part in parts:
                yield from _plain(part)
        case nodes.Getattr() | nodes.Getitem():
            yield _path(shown)
        case _:
            return


def _asked_about(tree: nodes.Template, root: str) -> set[str]:
    tests: list[nodes.Node] = [one.test for one in tree.find_all(nodes.If)]
    tests += [one.test for one in tree.find_all(nodes.CondExpr)]
    tests += [*tree.find_all(nodes.Or), *tree.find_all(nodes.And)]
    accesses = (found for test in tests for found in _accesses(test))
    return {path[1] for path in map(_path, accesses) if path[0] == root and len(path) > 1}


def _accesses(node: nodes.Node) -> Iterator[nodes.Node]:
    """All below the node, and itself."""
    if isinstance(node, (nodes.Getattr, nodes.Getitem)):
        yield node
    yield from node.find_all((nodes.Getattr, nodes.Getitem))


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
