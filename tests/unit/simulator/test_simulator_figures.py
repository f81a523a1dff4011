"""Statistics, latencies, embeddings and options: the small pure parts."""

import base64
import math
import statistics
import struct

import pytest

from simulator.bodies import EmbeddingBody
from simulator.catalogue import USUAL_MODELS
from simulator.command_line import read_options
from simulator.content.embeddings import embeddings, vector
from simulator.fault_plan import FaultWindow
from simulator.latency import Latency
from simulator.stats import Stats

OPTIONS = """
--port 0 --key k --model own --seed 3 --latency-median 0.3 --latency-p95 0.6
--limit small=1200 --limit *=60 --tokens *=500000 --window 1 --count-refused --no-headers
--fault server_error=0.01 --fault-window brownout_503@5-15=.5
"""


def test_calls_paid_twice_are_counted():
    """`duplicates` is how often any call was executed beyond its first time."""
    stats = Stats(started=0.0)
    for digest in (1, 2, 2, 2, 3, 3):
        stats.executed("m", digest)
    report = stats.report(1.0)
    counts = [report[name] for name in ("executed", "unique", "repeated", "duplicates")]
    assert counts == [6, 3, 2, 3]


def test_seconds_are_told_apart():
    """Arrivals, accepted and refused are counted per second, and ten minutes are kept."""
    stats = Stats(started=100.0)
    for now in (100.1, 100.9, 101.0, 900.0):
        stats.arrived(now)
    stats.accepted("m", 100.2)
    stats.refused("m", 101.1)
    assert stats.report(101.5)["per_second"] == [
        {"second": 0, "arrivals": 2, "accepted": 1, "refused": 0},
        {"second": 1, "arrivals": 1, "accepted": 0, "refused": 1},
        {"second": 800, "arrivals": 1, "accepted": 0, "refused": 0},
    ]
    assert [it["second"] for it in stats.report(900.5)["per_second"]] == [800]


def test_a_reset_keeps_the_calls_in_flight():
    """After a reset, calls begun before still end, and the peak starts from them."""
    stats = Stats(started=0.0)
    stats.arrived(0.0)
    stats.arrived(0.0)
    stats.left()
    fresh = stats.successor(5.0)
    assert (fresh.in_flight, fresh.peak, fresh.figures.requests) == (1, 1, 0)


def test_latencies_have_their_median_and_tail():
    """Drawn latencies have the median and the 95th percentile that were asked for."""
    latency = Latency(0.3, 0.6, seed=1)
    drawn = [latency.draw() for _ in range(20_000)]
    assert statistics.median(drawn) == pytest.approx(0.3, rel=0.03)
    assert statistics.quantiles(drawn, n=20)[-1] == pytest.approx(0.6, rel=0.05)
    assert Latency(0.0, 0.6, seed=1).draw() == 0.0
    assert Latency(0.3, 0.0, seed=1).draw() == pytest.approx(0.3)


def test_texts_that_share_words_are_near():
    """Cosine similarity ranks a text on the same subject above another."""

    def nearness(one: str, other: str) -> float:
        return math.fsum(a * b for a, b in zip(vector(one), vector(other), strict=True))

    query = "miR-23b in melanoma"
    assert nearness(query, query) == pytest.approx(1.0)
    related = nearness(query, "expression of miR-23b was raised in melanoma")
    assert related > nearness(query, "statutes of the French code of labour") + 0.2


def test_embeddings_come_in_the_type_asked_for():
    """Dimensions, integer types, packed signs and base64 are as the specification has them."""

    def embedded(**options: object) -> list | str:
        body = EmbeddingBody(model="mistral-embed", input="one text", **options)
        return embeddings(body)[0]["embedding"]

    assert len(embedded()) == 1024
    assert len(embedded(output_dimension=256)) == 256
    assert all(-128 <= value <= 127 for value in embedded(output_dtype="int8"))
    assert all(0 <= value <= 255 for value in embedded(output_dtype="uint8"))
    assert len(embedded(output_dtype="ubinary", output_dimension=256)) == 32
    packed = base64.b64decode(embedded(encoding_format="base64"))
    assert struct.unpack("<1024f", packed) == pytest.approx(embedded(), abs=1e-6)


def test_options_become_a_configuration():
    """Every option of the command line reaches its place in `Config`."""
    config = read_options(OPTIONS.split())
    assert (config.port, config.key, config.seed) == (0, "k", 3)
    assert config.models == (*USUAL_MODELS, "own")
    assert (config.latency_median_s, config.latency_p95_s) == (0.3, 0.6)
    assert config.limits.requests == {"small": 1200, "*": 60}
    assert config.limits.tokens == {"*": 500_000}
    assert (config.limits.window_s, config.limits.count_refused) == (1.0, True)
    assert not config.limit_headers
    assert config.faults.rates == {"server_error": 0.01}
    assert config.faults.windows == (FaultWindow("brownout_503", 5.0, 15.0, 0.5),)


@pytest.mark.parametrize(
    "options",
    ["--limit 1200", "--limit a=-1", "--window 0", "--fault x=1", "--fault-window hang@5"],
)
def test_senseless_options_are_refused(options, capsys):
    """A bad option ends with code 2 and a message that shows the right form."""
    with pytest.raises(SystemExit) as end:
        read_options(options.split())
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err
