"""A call's identity: what makes two requests the same, and what does not."""

import pytest

from models.requests import call_key

BODY = {
    "model": "small",
    "messages": [{"role": "user", "content": "é 🎉"}],
    "temperature": 0.7,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": 2}}}],
}


def _key(body: dict[str, object] | None = None, **changes: str) -> str:
    asked = {"server": "https://h", "endpoint": "chat", "sample": "", **changes}
    return call_key(body=BODY if body is None else body, **asked)


def test_keys_are_stable() -> None:
    """The same request gives the same 64 hex characters in every version: ledgers depend on it."""
    assert _key() == "4d38855f3f588c1e8ea2ef48d4ff19e18d884c2e6129365930621efb04225ef1"
    assert call_key("https://h", "chat", BODY) == _key()


def test_the_order_of_fields_does_not_matter() -> None:
    """At any depth."""
    function = {"parameters": {"b": 2, "a": 1}, "name": "f"}
    turned = dict(reversed(BODY.items()))
    turned["tools"] = [{"function": function, "type": "function"}]
    assert _key(turned) == _key()


def test_the_order_of_messages_matters() -> None:
    """Lists are what they are."""
    first, second = ({"role": "user", "content": text} for text in "ab")
    one, other = ({**BODY, "messages": m} for m in ([first, second], [second, first]))
    assert _key(one) != _key(other)


@pytest.mark.parametrize("name", ["prompt_cache_key", "metadata"])
def test_bookkeeping_is_no_part_of_a_request(name: str) -> None:
    """Fields that never change the answer do not make it another call."""
    assert _key({**BODY, name: {"job": "job_x"}}) == _key()


@pytest.mark.parametrize(
    "change",
    [
        {"model": "large"},
        {"temperature": 0.70001},
        {"temperature": None},
        {"max_tokens": 5},
        {"messages": [{"role": "user", "content": "é 🎉 "}]},
        {"messages": [{"role": "user", "content": "é 🎉", "metadata": 1}]},
    ],
)
def test_all_else_is(change: dict[str, object]) -> None:
    """Any other difference, be it a space, is another call."""
    assert _key({**BODY, **change}) != _key()


def test_server_endpoint_and_sample_matter() -> None:
    """An answer of the simulator is never taken for one of the API, nor one draw for another."""
    keys = {
        _key(),
        _key(server="http://127.0.0.1:1"),
        _key(endpoint="embeddings"),
        _key(sample="1"),
        _key(sample="job_x/"),
    }
    assert len(keys) == 5


def test_parts_cannot_be_shifted_into_each_other() -> None:
    """Server, endpoint and sample are told apart, not glued together."""
    assert call_key("ab", "c", {}) != call_key("a", "bc", {})
    assert call_key("a", "b", {}, "c") != call_key("a", "bc", {}, "")


def test_the_body_is_left_as_it_is() -> None:
    """Making a key takes nothing out of the request that is about to be sent."""
    body = {**BODY, "metadata": {"x": 1}}
    _key(body)
    assert body == {**BODY, "metadata": {"x": 1}}
