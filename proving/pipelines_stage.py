"""A whole small recipe in a folder: rows become pairs, a dataset, a tuned model, an exam."""

import json
from pathlib import Path

PIPELINE = """
name = "small"
input = "rows.jsonl"

[variables]
steps = 10

[[stages]]
name = "pairs"
kind = "generate"

[[stages]]
name = "data"
kind = "dataset"
from = ["{{ pairs.records }}"]
split = "80/10/10"
dedupe = "none"

[[stages]]
name = "tuned"
kind = "train"
dataset = "{{ data.name }}"
base = "open-mistral-nemo"
trainer = "mistral"
steps = "{{ vars.steps }}"

[[stages]]
name = "exam"
kind = "evaluate"
data = "exam.jsonl"
models = ["mistral-small-latest", "{{ tuned.model }}@bare"]
"""
RECIPE = """
name = "small"
model = "mistral-small-latest"
[[steps]]
name = "say"
prompt = "Say in other words: {{ row.text }}"
expected_tokens = 20
[[output.record.messages]]
role = "user"
content = "{{ row.text }}"
[[output.record.messages]]
role = "assistant"
content = "{{ say }}"
"""
SUITE = """
name = "small"
kind = "classification"
[prompts.guided]
prompt = "Is this about news? Answer yes or no. {{ row.text }}"
[prompts.bare]
prompt = "{{ row.text }}"
[classification]
labels = ["yes", "no"]
positive = "yes"
"""


def write_recipe(folder: Path, *, rows: int = 24, exam: int = 12) -> Path:
    """The folder with all its files; the same arguments write the same."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"pipeline": PIPELINE, "recipe": RECIPE, "suite": SUITE}
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    lines = [
        {"id": f"r{number}", "text": f"Query {number} about {number * 7} things of the day"}
        for number in range(rows)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = [
        {**line, "text": f"Exam: {line['text']}", "label": "yes" if at % 3 else "no"}
        for at, line in enumerate(lines[:exam])
    ]
    (folder / "exam.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    return folder


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """One change of one file; `old` must be there."""
    path = folder / name
    text = path.read_text()
    assert old in text, (name, old)
    path.write_text(text.replace(old, new))
