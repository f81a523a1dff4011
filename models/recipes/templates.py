"""Templates compiled once: texts for prompts, trees of values for output records."""

import re
from collections.abc import Callable, Iterable, Mapping

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError
from jinja2.visitor import NodeTransformer

from models.recipes.filters import USUAL, Caps, check_length, check_size, fresh_budget
from models.recipes.problems import RowProblem
from models.recipes.sandbox import SANDBOX, only_syntax_errors
from models.recipes.strict_json import Json, check_leaf
from models.states import FailureCode

Variables = Mapping[str, Json]
Render = Callable[[Variables], Json]
_RESULT = "_result"


def compile_text(source: str, where: str) -> Callable[[Variables], str]:
    """A function from variables to text; it raises `RowProblem` naming `where` and the variable.

    Raises jinja2's `TemplateSyntaxError` when the source does not parse.
    """
    tree = SANDBOX.parse_checked(source)
    if (constant := _constant(tree)) is not None:
        return lambda variables: constant
    template = _compiled(tree)

    def render(variables: Variables) -> str:
        return str(_guarded(lambda: _joined(template, variables, USUAL), where))

    return render


def compile_tree(value: Json, where: str) -> Render:
    """A function from variables to a value shaped like `value`, whose texts are templates.

    A text that is one `{{ expression }}` and nothing else keeps the type of the expression. A value
    may be as large as what the variables hold, and the usual caps on top: with a record's, the row
    was paid for.
    """
    if isinstance(value, str):
        return _compile_leaf(value, where)
    if isinstance(value, dict):
        parts = {key: compile_tree(part, f"{where}.{key}") for key, part in value.items()}
        return lambda variables: {key: part(variables) for key, part in parts.items()}
    if isinstance(value, list):
        items = [compile_tree(part, f"{where}[{at}]") for at, part in enumerate(value)]
        return lambda variables: [item(variables) for item in items]
    return lambda variables: value


def expression_of(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is `{{ expression }}` and nothing else."""
    match tree.body:
        case [nodes.Output(nodes=[nodes.TemplateData()])]:
            return None
        case [nodes.Output(nodes=[expression])]:
            return expression
        case _:
            return None


def name_of(node: nodes.Node) -> str | None:
    """`row.meta.year` for an access by attribute or constant key; None for anything else."""
    match node:
        case nodes.Name(name=name):
            return str(name)
        case (
            nodes.Getattr(node=inner, attr=part)
            | nodes.Getitem(node=inner, arg=nodes.Const(value=str(part)))
        ):
            outer = name_of(inner)
            return outer and f"{outer}.{part}"
        case _:
            return None


def _compile_leaf(source: str, where: str) -> Render:
    tree = SANDBOX.parse_checked(source)
    if (constant := _constant(tree)) is not None:
        return lambda variables: constant
    expression = expression_of(tree)
    if expression is None:
        text = _compiled(tree)
        return _roomy(lambda variables, caps: _joined(text, variables, caps), where)
    assign = nodes.Assign(nodes.Name(_RESULT, "store", lineno=1), expression, lineno=1)
    template = _compiled(nodes.Template([assign], lineno=1))
    label = name_of(expression) or "the expression"
    return _roomy(lambda variables, caps: _value(template, variables, label, caps), where)


def _roomy(render: Callable[[Variables, Caps], Json], where: str) -> Render:
    """Renders again where a cap was met: what the variables hold is measured only then."""

    def twice(variables: Variables) -> Json:
        try:
            return render(variables, USUAL)
        except SecurityError:
            room = USUAL.beside(variables)
            if not room.is_wider_than(USUAL):
                raise
            return render(variables, room)

    return lambda variables: _guarded(lambda: twice(variables), where)


def _value(template: Template, variables: Variables, label: str, caps: Caps) -> Json:
    context = template.new_context({**variables, **fresh_budget(caps)})
    for _ in template.root_render_func(context):
        pass
    value = context.vars[_RESULT]
    check_size(value, caps)
    return _plain(value, label)


def _plain(value: Json, label: str) -> Json:
    if value is None or isinstance(value, (str, int, float)):
        check_leaf(value)
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(part, label) for key, part in value.items()}
    if isinstance(value, Iterable):
        return [_plain(part, label) for part in value]
    if not callable(value):
        str(value)  # an undefined value complains here, and names itself
    raise TypeError(f"{label} is no JSON value but a {type(value).__name__}")


def _joined(template: Template, variables: Variables, caps: Caps) -> str:
    context = template.new_context({**variables, **fresh_budget(caps)})
    parts: list[str] = []
    size = 0
    for part in template.root_render_func(context):
        parts.append(part)
        size += len(part)
        if size > caps.text:
            check_length(size, caps.text)
    text = "".join(parts)
    check_leaf(text)
    return text


def _guarded(render: Callable[[], Json], where: str) -> Json:
    try:
        return render()
    except Exception as error:  # templates fail in as many ways as Python has; each fails one row
        detail = re.sub(r"<[^<>]* object at 0x\w+>", "a value", str(error))
        raise RowProblem(
            FailureCode.BAD_ROW, f"{where}: {detail or type(error).__name__}"
        ) from error


def _constant(tree: nodes.Template) -> str | None:
    outputs = [child for child in tree.body if isinstance(child, nodes.Output)]
    texts = [text for output in outputs for text in output.nodes]
    if len(outputs) < len(tree.body) or not all(isinstance(t, nodes.TemplateData) for t in texts):
        return None
    return "".join(text.data for text in texts if isinstance(text, nodes.TemplateData))


def _compiled(tree: nodes.Template) -> Template:
    with only_syntax_errors():
        template = SANDBOX.from_string(_woven(tree))
    # each rendering copies them, and out of jinja2's chain of maps that takes longer than to render
    template.globals = dict(template.globals)
    return template


def _woven(tree: nodes.Template) -> nodes.Template:
    woven = _Weaver().visit(tree)
    assert isinstance(woven, nodes.Template)
    woven.set_environment(SANDBOX)
    return woven


def _filtered(node: nodes.Expr, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


class _Weaver(NodeTransformer):
    """Weaves the guards in: what is printed is named, loops are counted, `~` is capped, and what
    makes a value pays for it."""

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802 # jinja2 names it so
        shown: list[nodes.Expr] = []
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                shown.append(child)
                continue
            label = nodes.Const(name_of(child) or f"the value printed on line {child.lineno}")
            shown.append(_filtered(self.visit(child), "_shown", label))
        node.nodes = shown
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 # jinja2 names it so
        self.generic_visit(node)
        assert isinstance(node.iter, nodes.Expr)
        node.iter = _filtered(node.iter, "_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802 # jinja2 names it so
        self.generic_visit(node)
        first, *others = node.nodes
        return _filtered(_filtered(first, "_concat", *others), "_charged")

    def visit_Filter(self, node: nodes.Filter) -> nodes.Filter:  # noqa: N802 # jinja2 names it so
        self.generic_visit(node)
        return _filtered(node, "_charged")

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802 # jinja2 names it so
        self.generic_visit(node)
        return _filtered(node, "_charged") if isinstance(node.arg, nodes.Slice) else node
