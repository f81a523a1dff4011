"""Suites that judge, as their authors write them: what is missing or out of place is said."""

from typing import Any

import pytest
from judged_builders import GROUNDING, JUDGE, an_evaluation
from pydantic import ValidationError

from models.errors import BadInputError, RecipeError
from models.payloads import JobSpec, is_on_device, models_asked
from models.suites import Contestant, Evaluation, Suite
from models.suites.loading import parse_suite
from producers.evaluating.evaluating import Wish, evaluation_of

PROMPTS = {"default": {"prompt": "{{ row.question }}"}}


def a_suite(kind: str, **changes: Any) -> Suite:
    """Checked as a file would be."""
    return parse_suite({"name": "test", "kind": kind, **changes}, "suite.toml")


def test_suites_that_judge_are_read() -> None:
    """Each kind with its section; `[perplexity]` may be left out."""
    assert a_suite("pairwise", prompts=PROMPTS, judge=JUDGE).judge
    assert a_suite("judges", judge=JUDGE).judge
    assert a_suite("grounded", prompts=PROMPTS, grounding=GROUNDING).grounding
    assert a_suite("perplexity").perplexity is None
    assert a_suite("perplexity", perplexity={"seq_len": 512}).perplexity


def test_the_order_of_prompts_is_part_of_a_suites_hash() -> None:
    """The first of them is how models are asked that name none."""
    plain = {"default": {"prompt": "{{ row.question }}"}, "brief": {"prompt": "{{ row.text }}"}}
    one = a_suite("samples", prompts=plain)
    other = a_suite("samples", prompts=dict(reversed(plain.items())))
    assert one.default_prompt != other.default_prompt
    assert one.hash != other.hash
    assert one.hash == a_suite("samples", prompts=plain).hash


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": "pairwise"}, r"judge: it is missing; a suite of kind pairwise needs"),
        ({"kind": "grounded"}, r"grounding: it is missing"),
        ({"kind": "samples", "judge": JUDGE}, r"judge: a suite of kind samples has no use"),
        ({"kind": "pairwise", "judge": JUDGE, "grounding": GROUNDING}, r"grounding: a suite"),
        (
            {"kind": "pairwise", "judge": {**JUDGE, "ask": {"prompt": "Which? {{ first }}"}}},
            r"judge\.ask: its prompts do not show \{\{ second \}\}",
        ),
        (
            {"kind": "pairwise", "judge": {**JUDGE, "ask": {"prompt": "{{ first"}}},
            r"judge\.ask\.prompt: ",
        ),
        (
            {"kind": "pairwise", "judge": {**JUDGE, "criteria": JUDGE["criteria"][:1] * 2}},
            r"judge\.criteria: two of them have the same name",
        ),
        (
            {"kind": "grounded", "grounding": {"question": "{{ row.question }}"}},
            r"grounding\.context: it is missing",
        ),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], complaint: str) -> None:
    """By key, before anything is asked."""
    with pytest.raises(RecipeError, match=complaint):
        a_suite(**{"prompts": PROMPTS, **changes})


def test_only_a_comparison_of_judges_has_no_contestants() -> None:
    """Its answers stand in the rows."""
    assert an_evaluation("judges", judge=JUDGE, judges=["a", "b"]).models == ["a", "b"]
    with pytest.raises(ValidationError, match="contestants answer"):
        an_evaluation("pairwise", judge=JUDGE, prompts=PROMPTS)
    suite = a_suite("judges", judge=JUDGE)
    with pytest.raises(ValidationError, match="judges only"):
        Evaluation(suite=suite, contestants=[Contestant(model="a")], judges=["b"])


@pytest.mark.parametrize(
    ("suite", "wish", "complaint"),
    [
        (a_suite("judges", judge=JUDGE), {"models": ("a",)}, "leave --models out"),
        (a_suite("pairwise", prompts=PROMPTS, judge=JUDGE), {}, "nobody is asked"),
        (a_suite("pairwise", prompts=PROMPTS, judge=JUDGE), {"models": ("a",)}, "two models"),
        (
            a_suite("pairwise", prompts=PROMPTS, judge=JUDGE),
            {"models": ("a", "b"), "judges": ("c", "d")},
            "has one judge",
        ),
        (a_suite("perplexity"), {"models": ("a",), "judges": ("c",)}, "nobody judges"),
    ],
)
def test_models_and_judges_have_to_fit_the_kind(
    suite: Suite, wish: dict[str, Any], complaint: str
) -> None:
    """What to give instead is said."""
    with pytest.raises(BadInputError, match=complaint):
        evaluation_of(suite, Wish("test", **{"models": (), **wish}))


def test_a_comparison_of_judges_needs_judges_alone() -> None:
    """Those that are named, or the suite's own."""
    suite = a_suite("judges", judge=JUDGE)
    assert evaluation_of(suite, Wish("test", (), judges=("a", "b"))).judges == ["a", "b"]
    assert evaluation_of(suite, Wish("test", ())).judges == ["judge"]


def test_rows_are_read_to_models_on_our_own_machines() -> None:
    """Such a job is for the processes that train, and calls nobody."""
    read = JobSpec(evaluation=an_evaluation("perplexity", "a", prompts={}).model_dump(mode="json"))
    asks = JobSpec(
        evaluation=an_evaluation("grounded", "a", grounding=GROUNDING).model_dump(mode="json")
    )
    assert is_on_device("evaluate", read.model_dump_json())
    assert not is_on_device("evaluate", asks.model_dump_json())
    assert models_asked(read.model_dump_json()) == []
    assert models_asked(asks.model_dump_json()) == ["a", "mistral-embed", "judge"]
