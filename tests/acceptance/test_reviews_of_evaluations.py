"""From a suite of samples to what people prefer: a real worker answers, a sheet judges."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

from models.states import JobState
from producers.evaluating import Evaluating, Wish
from producers.reviewing import Reviewing, make
from proving.stage import Stage

SUITE = """
name = "tone"
kind = "samples"

[prompts.guided]
prompt = "Rewrite in the house's tone: {{ row.text }}"

[prompts.bare]
prompt = "{{ row.text }}"
"""
MODELS = ("mistral-large-latest", "mistral-small-latest@bare")
ROWS = 12


def judge(sheet: Path, said: dict[str, str]) -> None:
    """Fills a sheet: a reviewer who, by the text that was asked about, points to an answer."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        header, *lines = csv.reader(file)
    for line in lines:
        line[4] = "left" if line[2] == said[line[1]] else "right"
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows([header, *lines])


def test_people_judge_what_models_answered(on_stage: Callable[..., Stage], tmp_path: Path):
    """Pairs hold what the two said to each row and what both were asked; a reviewer who always
    points to the second model's answer makes it win, whichever side it stood on."""
    on = on_stage(workers=1)
    (tmp_path / "suite.toml").write_text(SUITE)
    rows = [{"id": f"t{no}", "text": f"The library opens at {no} o'clock."} for no in range(ROWS)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    evaluating = Evaluating(on.client)
    wish = Wish(str(tmp_path / "suite.toml"), MODELS, data=str(data))
    with evaluating.plan(wish) as plan:
        job = on.client.wait(evaluating.submit(plan).id)
    assert job.state == JobState.SUCCEEDED
    review = make(on.client, job.id, key="a run/review")
    assert (review.pairs_total, review.rows_both, review.rows_alike) == (ROWS, ROWS, 0)
    assert make(on.client, job.id, key="a run/review") == review
    said = {found.data["text"]: found.outcomes[1].text for found in evaluating.found(job)}
    reviewing = Reviewing(on.client)
    judge(reviewing.export(review.id, tmp_path / "sheet.csv"), said)
    assert reviewing.take_in(review.id, tmp_path / "sheet.csv", "Ada").judged == ROWS
    result = reviewing.result(review.id)
    assert (result.first, result.second) == MODELS
    assert (result.counted.won.count, result.counted.lost.count) == (0, ROWS)
    assert f"{MODELS[1]} is preferred (p < 0.001" in result.verdict
    (ada,) = result.reviewers
    assert (ada.left.count, ada.left.n) == (ROWS // 2, ROWS)
