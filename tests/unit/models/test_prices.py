"""Prices: the longest name holds, unknown is not zero, an operator's own table replaces ours."""

from pathlib import Path

import pytest

from models.errors import BadInputError
from models.payloads import Usage
from models.prices import ModelPrice, PriceTable, load_prices

TABLE = PriceTable(
    as_of="2026-01-01",
    models={
        "mistral": ModelPrice(input=9, output=9),
        "mistral-small": ModelPrice(input=0.1, output=0.3),
        "mistral-small-2603": ModelPrice(input=0.2, output=0.6),
        "free": ModelPrice(input=0, output=0),
    },
)


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("mistral-small", 0.1),
        ("mistral-small-latest", 0.1),
        ("mistral-small-2603", 0.2),
        ("mistral-small-2603-x", 0.2),
        ("mistral-smaller", 9),
        ("mistral-large", 9),
    ],
)
def test_the_longest_name_holds(model: str, price: float) -> None:
    """A model belongs to the longest listed name that it is, or goes on from by a dash."""
    found = TABLE.price(model)
    assert found is not None and found.input == price


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("ft:mistral-small:news:20260801:1a2b3c4d", 0.1),
        ("ft:mistral-small-2603:news:20260801:1a2b3c4d", 0.2),
        ("ft:free:news", 0),
        ("ft:mistral-large-latest:news", 9),
    ],
)
def test_a_model_tuned_by_the_provider_costs_what_its_base_costs(model: str, price: float) -> None:
    """So a budget lets it pass its exam."""
    found = TABLE.price(model)
    assert found is not None and found.input == price


@pytest.mark.parametrize("model", ["ft:", "ft::news", "ft:gpt:mistral-small", "ft", "mistral:x"])
def test_a_tuned_model_of_an_unknown_base_has_no_price(model: str) -> None:
    """None, never zero, whatever else stands in its name."""
    assert TABLE.price(model) is None
    assert TABLE.cost_nano(model, Usage(1, 1)) is None


def test_a_table_may_price_tuned_models_themselves() -> None:
    """All of a base, or one by its whole name."""
    whole = "ft:mistral-small:news:1"
    prices = {
        "ft:mistral-small": ModelPrice(input=5, output=5),
        whole: ModelPrice(input=7, output=7),
    }
    table = TABLE.model_copy(update={"models": {**TABLE.models, **prices}})
    asked = ("ft:mistral-small:cats:2", whole, "mistral-small", "ft:mistral-small-2603:news")
    assert [table.price(one).input for one in asked] == [5, 7, 0.1, 5]  # type: ignore[union-attr]


@pytest.mark.parametrize("model", ["", "mistra", "mistrals", "open-mistral", "gpt", "MISTRAL"])
def test_an_unknown_model_has_no_price(model: str) -> None:
    """None, never zero; what is listed at zero costs zero."""
    assert TABLE.price(model) is None
    assert TABLE.cost_nano(model, Usage(1, 1)) is None
    assert TABLE.cost_nano("free", Usage(1000, 1000)) == 0


def test_costs_are_nano_dollars() -> None:
    """0.10 and 0.30 USD per million: a million in and out is 0.4 USD."""
    assert TABLE.cost_nano("mistral-small", Usage(1_000_000, 1_000_000)) == 400_000_000
    assert TABLE.cost_nano("mistral-small", Usage(1, 0)) == 100
    assert TABLE.cost_nano("mistral-small", Usage()) == 0


def test_batches_are_paid_by_their_factor() -> None:
    """Half by default, of cached tokens too; an operator's own table has its own."""
    usage = Usage(1000, 0, 400)
    assert TABLE.cost_nano("mistral-small", usage, batch=True) == (60_000 + 4_000) // 2
    own = TABLE.model_copy(update={"batch_factor": 0.25})
    assert own.cost_nano("mistral-small", usage, batch=True) == 16_000
    assert own.cost_nano("unheard-of", usage, batch=True) is None


def test_cached_tokens_are_cheaper() -> None:
    """A tenth of the input's price by default; the rest of the prompt is paid in full."""
    assert TABLE.cost_nano("mistral-small", Usage(1000, 0, 400)) == 60_000 + 4_000
    own = TABLE.model_copy(update={"cached_input_factor": 0.5})
    assert own.cost_nano("mistral-small", Usage(1000, 0, 400)) == 60_000 + 20_000


def test_more_cached_than_asked_never_earns_money() -> None:
    """A server that counts wrong does not bring a job's cost below zero."""
    assert TABLE.cost_nano("mistral-small", Usage(10, 0, 1000)) == 100


def test_the_shipped_table_knows_the_models() -> None:
    """The models of the shipped recipes have a price, and the table says of when it is."""
    table = load_prices()
    assert table.as_of.startswith("2026-")
    for model in ("mistral-small-latest", "mistral-large-latest", "mistral-embed"):
        cost = table.cost_nano(model, Usage(1000, 0))
        assert cost is not None and cost > 0


def test_an_own_table_replaces_ours(tmp_path: Path) -> None:
    """What it does not list is unknown, whatever the shipped one says."""
    path = tmp_path / "own.toml"
    path.write_text('as_of = "2030-01-01"\n[models]\n"house" = { input = 1, output = 2 }\n')
    table = load_prices(path)
    assert table.cost_nano("house-1", Usage(1, 1)) == 3000
    assert table.price("mistral-small-latest") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no toml",
        b'as_of = "x"',
        b'as_of = "x"\n[models]\n"m" = { input = 1 }',
        b'as_of = "x"\n[models]\n"m" = { input = -1, output = 1 }',
        b'as_of = "x"\n[models]\n"m" = { input = nan, output = 1 }',
        b'as_of = "x"\n[models]\n"m" = { input = inf, output = 1 }',
        b'as_of = "x"\n[models]\n"m" = { input = "dear", output = 1 }',
        b'as_of = "x"\n[models]\n"m" = { input = 1, output = 1, outptu = 2 }',
        b'as_of = "x"\ncached_input_factor = 2\n[models]\n',
        b'as_of = "x"\nbatch_facter = 0.9\n[models]\n',
        b'as_of = "\xff\xfe"\n[models]\n',
        None,
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Missing, not TOML, not UTF-8 or not prices: bad input that names the file."""
    path = tmp_path / "own.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"own\.toml"):
        load_prices(path)
