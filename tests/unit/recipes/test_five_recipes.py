"""The five pipelines that come with Maestrale: whole, told of, ready for the originals' rows."""

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.pipelines import Pipeline, StageKind, load_pipeline
from models.recipes import Compiled, load_recipe
from models.recipes.answers import Read
from models.suites import Asked, Contestant, Evaluation, SuiteKind, load_suite
from models.suites.reading import label_in
from producers.datasets.manifest import Shape
from producers.datasets.shaping import Shaper
from producers.evaluating.previewing import Previewer
from producers.readers import ReadOptions, read

RECIPES = Path(__file__).parents[3] / "recipes"
FIVE = ("amira", "tak", "cleo", "bsard", "eurlex")
PIPELINES = [
    *(RECIPES / name / "pipeline.toml" for name in FIVE),
    RECIPES / "tak/teacher.toml",
    RECIPES / "eurlex/local.toml",
]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def sample(name: str) -> list[dict[str, Any]]:
    return rows_of(RECIPES / name / "sample.jsonl")


def read_all(path: Path, staging: Path, **options: Any) -> list[dict[str, Any]]:
    with read(str(path), ReadOptions(**options), staging) as found:
        assert found.rejected == 0
        return [{"id": row.row_id, **row.data} for row in found.rows()]


def shaper_of(pipeline: Pipeline) -> Shaper:
    asked = pipeline.stage("data").asked
    return Shaper(Shape(prompt=asked.get("prompt", ""), answer=asked.get("answer", "")))


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_pipeline_is_whole(path: Path) -> None:
    """It loads with all that it names; it learns, and what it learnt is put to the test."""
    pipeline = load_pipeline(str(path))
    kinds = [stage.kind for stage in pipeline.stages]
    assert StageKind.DATASET in kinds
    assert StageKind.TRAIN in kinds
    assert StageKind.EVALUATE in kinds
    assert pipeline.input
    assert Path(pipeline.input).is_file()
    assert "base" in pipeline.variables


@pytest.mark.parametrize("name", FIVE)
def test_a_page_tells_of_it(name: str) -> None:
    """Every stage is in the README's table, and every variable that a command sets is there."""
    text = (RECIPES / name / "README.md").read_text("utf-8")
    assert len(text.splitlines()) < 70
    for stage in load_pipeline(name).stages:
        assert f"| `{stage.name}` |" in text, stage.name
    for words in ("**What.**", "**Whose idea.**", "**What to change.**"):
        assert words in text
    commands = re.findall(r"^maestrale run .*$", text, re.MULTILINE)
    assert commands
    for command in commands:
        arguments = shlex.split(command, comments=True)
        given = [one for one in arguments if re.match(r"\w+=", one)]
        settings = dict(one.split("=", 1) for one in given)
        load_pipeline(str(RECIPES.parent / arguments[2]), variables=settings)


@pytest.mark.parametrize("name", FIVE)
def test_every_file_of_rows_has_an_origin_and_a_licence(name: str) -> None:
    """SAMPLE.md has a chapter for each, with both, and ids are unique."""
    told = (RECIPES / name / "SAMPLE.md").read_text("utf-8")
    for path in (RECIPES / name).glob("*.jsonl"):
        assert f"# `{path.name}`" in told
        rows = rows_of(path)
        assert len({row["id"] for row in rows}) == len(rows)
    assert told.count("| Licence |") >= len(re.findall("^# `", told, re.MULTILINE)) - 1
    assert "| Origin |" in told


@pytest.mark.parametrize("name", ["tak", "cleo", "bsard", "eurlex"])
def test_every_row_of_a_sample_can_be_generated_from(name: str) -> None:
    """The recipe renders for each of them."""
    made = Compiled(load_recipe(name))
    for row in sample(name):
        assert made.preview(row)


@pytest.mark.parametrize("name", ["tak", "eurlex"])
def test_rows_that_have_their_answers_become_conversations(name: str) -> None:
    """Without a teacher: the stage `data` makes a row to learn from of each."""
    shaper = shaper_of(load_pipeline(name))
    for row in sample(name):
        asked, answered = shaper.shaped(row, {})["messages"]
        assert asked["content"].strip()
        assert answered["content"].strip()


@pytest.mark.parametrize(
    ("suite", "rows"),
    [
        ("amira", "amira/exam.jsonl"),
        ("tak", "tak/sample.jsonl"),
        ("cleo", "cleo/sample.jsonl"),
        ("bsard", "bsard/sample.jsonl"),
        ("eurlex", "eurlex/sample.jsonl"),
        (str(RECIPES / "bsard/general.toml"), "bsard/general.jsonl"),
        (str(RECIPES / "bsard/general.toml"), "bsard/ranking.jsonl"),
    ],
)
def test_a_suite_asks_plain_rows_too(suite: str, rows: str) -> None:
    """Not only those that a dataset held out: `maestrale evaluate` takes the rows as they are."""
    loaded, _ = load_suite(suite)
    judged = [] if loaded.kind not in (SuiteKind.PAIRWISE, SuiteKind.GROUNDED) else ["judge"]
    asked = Evaluation(
        suite=loaded,
        contestants=[Contestant(model="a", prompt=name) for name in loaded.prompts],
        judges=judged,
    )
    needed = Previewer(asked).required_fields
    names = {"options": [], "context": []}
    for row in rows_of(RECIPES / rows):
        assert needed <= row.keys()
        for contestant in asked.contestants:
            question = Asked(asked).question(contestant, row, names)["messages"][-1]["content"]
            assert len(question.strip()) > 3


def test_amiras_exam_is_fair_and_may_be_shipped() -> None:
    """Twenty questions at most; each letter is right as often as the others."""
    rows = rows_of(RECIPES / "amira/exam.jsonl")
    assert len(rows) == 20
    assert set(Counter(row["answer"] for row in rows).values()) == {5}
    assert all(row["answer"] in row["options"] for row in rows)


def test_taks_labels_are_the_same_everywhere() -> None:
    """In the suite, in what the teacher may say, in the rules, and in the rows."""
    told = load_suite("tak")[0].classification
    assert told is not None
    schema = json.loads((RECIPES / "tak/label.json").read_text())
    assert schema["properties"]["label"]["enum"] == told.labels
    forced = load_suite("tak")[0].prompts["formed"].answer_definition
    assert forced == schema
    assert {row["label"] for row in sample("tak")} == set(told.labels)
    rules = (RECIPES / "tak/labels_system.j2").read_text()
    assert all(f"\n{label}: " in rules for label in told.labels)


def test_taks_base_can_be_held_to_the_labels() -> None:
    """`base@formed`: the rules as in `guided`, and an answer that can only be one of the labels."""
    suite = load_suite("tak")[0]
    asked = Asked(Evaluation(suite=suite, contestants=[Contestant(model="a")]))
    row = sample("tak")[0]
    guided, formed = (
        asked.question(Contestant(model="a", prompt=name), row, {}) for name in ("guided", "formed")
    )
    assert formed["messages"] == guided["messages"]
    assert formed["response_format"]["type"] == "json_schema"
    told = suite.classification
    assert told is not None
    for label in told.labels:
        assert label_in(told, {"label": label}) == Read(label)


def test_bsards_judges_are_chosen_by_what_they_will_be_asked() -> None:
    """The same words and criteria in both suites, and three points in all."""
    judge = load_suite("bsard")[0].judge
    chosen = load_suite(str(RECIPES / "bsard/judges.toml"))[0].judge
    assert judge is not None
    assert chosen is not None
    assert judge.criteria == chosen.criteria
    assert judge.ask == chosen.ask
    assert sum(one.points for one in judge.criteria) == 3


def test_bsards_best_run_is_reported_on_rows_it_was_not_chosen_by() -> None:
    """The best of four on some rows looks better on them than it is."""
    pipeline = load_pipeline("bsard")
    ranked = pipeline.stage("model").asked["ranking"].get("data")
    reported = pipeline.stage("general").asked.get("data")
    questions = [
        {row["question"] for row in rows_of(RECIPES / "bsard" / (name or "general.jsonl"))}
        for name in (ranked, reported)
    ]
    assert all(questions)
    assert not questions[0] & questions[1]


def test_bsards_preferences_favour_no_place() -> None:
    """The better answer stands first as often as second; ties are the same answer twice."""
    rows = rows_of(RECIPES / "bsard/preferences.jsonl")
    counts = Counter(row["preference"] for row in rows)
    assert counts["first"] == counts["second"]
    assert all((row["first"] == row["second"]) == (row["preference"] == "tie") for row in rows)


def test_bsard_takes_the_originals_tables(tmp_path: Path) -> None:
    """articles.csv and questions_train.csv, joined by the script that comes with it."""
    (tmp_path / "articles.csv").write_text(
        "id,reference,article,law_type,code\n"
        '1,"Art. 1, Code X","Le locataire, sauf ""clause"" contraire, paie.",national,X\n'
        '2,"Art. 2, Code X","Le bail\ndure neuf ans.",national,X\n'
    )
    (tmp_path / "questions_train.csv").write_text(
        "id,category,subcategory,question,extra_description,article_ids\n"
        '7,Logement,Bail,Combien de temps dure un bail ?,Résidence principale,"2,1,99"\n'
    )
    files = [str(tmp_path / "articles.csv"), str(tmp_path / "questions_train.csv")]
    script = str(RECIPES / "bsard/join.py")
    joined = subprocess.run(
        [sys.executable, script, *files], check=True, capture_output=True, text=True
    ).stdout
    path = tmp_path / "questions.jsonl"
    path.write_text(joined)

    (row,) = read_all(path, tmp_path)
    assert row["id"] == "bsard:7"
    (preview, *_) = Compiled(load_recipe("bsard")).preview(row)
    prompt = preview.body["messages"][-1]["content"]
    assert "Combien de temps dure un bail ? Résidence principale" in prompt
    assert prompt.index("Le bail\ndure neuf ans.") < prompt.index('sauf "clause" contraire')


def test_eurlex_takes_multi_eurlex_rows(tmp_path: Path) -> None:
    """JSON lines and Parquet with `text.fr` and `text.de`, and no field called `id`."""
    row = {
        "celex_id": "32006D0213",
        "labels": [1, 20],
        "text": {"fr": "Décision de la Commission", "de": "Entscheidung der Kommission", "en": "x"},
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    shaper = shaper_of(load_pipeline("eurlex", input_file=str(tmp_path / "rows.jsonl")))
    for name in ("rows.jsonl", "rows.parquet"):
        (found,) = read_all(tmp_path / name, tmp_path)
        shaped = shaper.shaped(found, {})
        said = [message["content"] for message in shaped["messages"]]
        assert said == ["Décision de la Commission", "Entscheidung der Kommission"]


def test_rows_of_a_dataset_lend_their_meta_to_a_suite(tmp_path: Path) -> None:
    """What a row was made of is in its `meta`; a suite reads it as if it were the row's own."""
    held_out = {
        "id": "q1",
        "messages": [{"role": "user", "content": "any news?"}],
        "meta": {"query": "any news?", "label": "news_related", "id": "not this one"},
    }
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(held_out) + "\n")
    required = frozenset({"query", "label"})
    (row,) = read_all(path, tmp_path, required=required, lift="meta")
    assert (row["id"], row["query"], row["label"]) == ("q1", "any news?", "news_related")
