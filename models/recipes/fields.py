"""Which variables a template reads, found in its syntax tree before any row is seen."""

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
