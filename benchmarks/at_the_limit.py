"""At the limit: how much of what is allowed is used, and how often the server has to refuse.

`python -m benchmarks.at_the_limit [SECONDS] [--only=told,header,found]`: 20 and 500 requests/s,
enforced by the simulator over every single second, 4 worker processes; the limit told, learnt
from the headers, or found by 429s alone. Shares are of the enforced limit, after the first 2 s
of traffic and up to the last full second.
"""

import sys
from dataclasses import dataclass

from proving.stage import report, stage, write_rows

MODEL = "mistral-small-latest"
LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6")


@dataclass
class Share:
    """What was used of a limit (per second), and what was refused."""

    used: float
    refused: float
    lost: int
    seconds: int


def measure(rate: int, mode: str, seconds: int) -> Share:
    """Runs a job of about `seconds` at `rate`."""
    options = [f"--limit=*={rate * 60}", "--window=1"]
    if mode == "found":
        options.append("--no-headers")
    told = f"{MODEL}={rate}/s" if mode == "told" else ""
    with stage(*LATENCY, *options, workers=4, limits=told) as on:
        rows = write_rows(on.home / "rows.jsonl", rate * seconds)
        job = on.client.wait(on.client.generate(rows, recipe="translate").id)
        print("   ", report(job))
        stats = on.stats()
    busy = {slot["second"]: slot for slot in stats["per_second"] if slot["arrivals"]}
    middle = range(min(busy) + 2, max(busy))  # a second without traffic is one that used nothing
    return Share(
        used=sum(busy[no]["accepted"] for no in middle if no in busy) / (rate * len(middle)),
        refused=sum(slot["refused"] for slot in busy.values())
        / sum(slot["arrivals"] for slot in busy.values()),
        lost=job.rows_total - job.rows_done,
        seconds=len(middle),
    )


def main() -> None:
    """Prints one line for each rate and way of learning."""
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    only = next((a.split("=")[1].split(",") for a in sys.argv if a.startswith("--only=")), None)
    seconds = int(arguments[0]) if arguments else 40
    holds = True
    for mode in only or ("told", "header", "found"):
        for rate in (20, 500):
            share = measure(rate, mode, seconds)
            print(
                f"{rate}/s, limit {mode}: {share.used:.1%} of the limit used over "
                f"{share.seconds} s, {share.refused:.2%} refused, {share.lost} rows lost"
            )
            least = 0.9 if mode == "found" else 0.98
            few = mode == "found" or share.refused <= 0.0005
            holds = holds and share.used >= least and few and not share.lost
    print("HOLDS" if holds else "BROKEN", "(98%, found: 90%; known: at most 0.05% refused; 0 lost)")
    raise SystemExit(0 if holds else 1)


if __name__ == "__main__":
    main()
