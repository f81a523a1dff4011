"""Faults: by rate, by window, by list; and each body as the API's."""

import orjson
import pytest

from models.errors import BadInputError
from simulator.bodies import ChatBody
from simulator.content.answers import choices
from simulator.fault_plan import FaultPlan, FaultRules, FaultWindow
from simulator.faults import FAULTS, GROUPS, Instead, Malformed
from simulator.replies import ERRORS


def a_plan(seed: int = 1, **rules: object) -> FaultPlan:
    return FaultPlan(FaultRules(**rules), seed=seed, now=0.0)


def names(plan: FaultPlan, times: list[float]) -> list[str | None]:
    return [fault.name if (fault := plan.draw(now)) else None for now in times]


def test_a_rate_is_a_share_of_the_calls():
    """Faults come about as often as their rates say."""
    drawn = names(a_plan(rates={"server_error": 0.1, "wrong_shape": 0.05}), [0.0] * 10_000)
    assert 0.09 < drawn.count("server_error") / 10_000 < 0.11
    assert 0.04 < drawn.count("wrong_shape") / 10_000 < 0.06


def test_the_same_seed_draws_the_same_faults():
    """Two plans with one seed agree, with another they do not."""
    first, same, other = (
        names(a_plan(seed, rates={"malformed": 0.5}), [0.0] * 100) for seed in (1, 1, 2)
    )
    assert first == same != other


def test_a_window_begins_and_ends():
    """A window's fault happens between its seconds and at no other time."""
    plan = a_plan(windows=(FaultWindow("brownout_503", 5, 15),))
    assert names(plan, [4.9, 5.0, 14.9, 15.0]) == [None, "brownout_503", "brownout_503", None]


def test_a_group_draws_all_its_members():
    """A group's name stands for each of its faults in turn, by chance."""
    for group, members in GROUPS.items():
        assert set(names(a_plan(rates={group: 1.0}), [0.0] * 500)) == set(members)


def test_a_script_is_followed_first():
    """Scripted faults come one per call, in order, before any drawn by chance."""
    plan = a_plan(rates={"html_520": 1.0}, script=("server_error", None, "hang"))
    assert names(plan, [0.0] * 4) == ["server_error", None, "hang", "html_520"]


def test_changed_rules_count_from_the_change():
    """Rules changed at run time replace the others, windows beginning at the change."""
    plan = a_plan(rates={"html_520": 1.0})
    plan.change(FaultRules(windows=(FaultWindow("hang", 0, 1),)), now=100.0)
    assert names(plan, [100.5, 101.5]) == ["hang", None]


def test_an_unknown_name_is_refused():
    """A misspelt fault is an error that lists the names there are."""
    with pytest.raises(BadInputError, match="server_error"):
        FaultRules(rates={"servererror": 1.0})


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("rate_limited", 429, "1300"),
        ("capacity_429", 429, "3505"),
        ("capacity_503", 503, "3505"),
        ("capacity_3810", 429, "3810"),
        ("spending_limit", 402, "2300"),
        ("forbidden_1910", 403, "1910"),
        ("forbidden_1913", 403, "1913"),
        ("invalid_model", 400, "1500"),
        ("invalid_request_3003", 400, "3003"),
    ],
)
def test_codes_are_the_apis(name, status, code):
    """Errors with a code carry it in the flat shape, beside their own status."""
    body = orjson.loads(ERRORS[name].body)
    assert ERRORS[name].status == body["raw_status_code"] == status
    assert (body["object"], body["code"]) == ("error", code)


def test_every_transient_status_can_be_had():
    """All statuses that a client must survive are among the faults, some as HTML or empty."""
    statuses = {fault.reply.status for fault in FAULTS.values() if isinstance(fault, Instead)}
    assert statuses >= {400, 401, 402, 403, 404, 408, 422, 425, 429, 500, 502, 503, 504, 520, 529}
    assert ERRORS["html_520"].content_type == "text/html"
    assert ERRORS["empty_body"].body == b""
    assert "error" in orjson.loads(ERRORS["vllm_error"].body)
    assert "detail" in orjson.loads(ERRORS["unprocessable"].body)["message"]


def test_bad_waits_are_told_in_the_header():
    """Every foolish `Retry-After` can be had, and no other error has one."""
    waits = {name: reply.headers.get("retry-after") for name, reply in ERRORS.items()}
    assert waits["retry_after_day"] == "86400"
    assert waits["retry_after_negative"] == "-1"
    assert "GMT" in waits["retry_after_date"]
    assert {name for name, wait in waits.items() if wait} == {
        name for name in waits if name.startswith("retry_after")
    }


def spoilt(name: str, body: dict) -> dict:
    parsed = ChatBody.model_validate(body)
    (choice,) = choices(parsed, parsed.prompt(), 1)
    fault = FAULTS[name]
    assert isinstance(fault, Malformed)
    fault.spoil(choice)
    return choice


def test_malformed_function_calls_are_malformed(asking):
    """Each way of spoiling a function call does what its name says."""
    broken = spoilt("invalid_json", asking)["message"]["tool_calls"][0]["function"]["arguments"]
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(broken)
    wrong = spoilt("wrong_shape", asking)["message"]["tool_calls"][0]["function"]["arguments"]
    assert "questions" not in orjson.loads(wrong)
    refused = spoilt("refusal", asking)
    assert refused["message"]["tool_calls"] is None
    assert "can't" in refused["message"]["content"]


def test_malformed_texts_are_malformed(chat_body):
    """A text comes empty, or cut with `length`; broken JSON leaves it alone."""
    whole = spoilt("invalid_json", chat_body)["message"]["content"]
    assert spoilt("empty_content", chat_body)["message"]["content"] == ""
    cut = spoilt("cut_short", chat_body)
    assert cut["finish_reason"] == "length"
    assert whole.startswith(cut["message"]["content"])
    assert len(cut["message"]["content"]) < len(whole)
