"""Tokens: with the model's own template, per part, and saying by which tokenizer."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from dataset_builders import a_chat, a_dataset
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from models.errors import BadInputError, SetupError
from models.settings import Settings
from producers import tokens as offline
from producers.datasets.counting import FolderTokens, MistralTokens, lengths, tokenizer_for
from producers.datasets.templating import chat_template

ROW = a_chat("a", "Who are you?", "A wind.")
TEMPLATE = "{% for m in messages %}<{{ m.role }}> {{ m.content }} {{ eos_token }} {% endfor %}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder; its tokenizer (a stand-in for the library) counts words."""
    words = SimpleNamespace(encode=lambda text, **_: SimpleNamespace(ids=text.split()))
    library = ModuleType("tokenizers")
    library.Tokenizer = SimpleNamespace(from_file=lambda _path: words)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tokenizers", library)
    (tmp_path / "tokenizer.json").write_text("{}")
    config = {"chat_template": TEMPLATE, "eos_token": {"content": "</s>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return tmp_path


def test_mistral_counts_with_its_control_tokens() -> None:
    """<s> [INST] ... [/INST] ... </s>: four more than the texts have."""
    tokens = MistralTokens()
    assert tokens.exact
    assert "tekken" in tokens.name
    asked, answered = (tokens._count_text(m["content"]) for m in ROW["messages"])
    assert tokens.count(ROW) == (asked + answered + 4, answered + 1)


def test_rows_with_labels_teach_no_tokens() -> None:
    """Their text is counted, and nothing is generated."""
    row = {"messages": ROW["messages"], "labels": {"a": "b"}}
    everything, learnt = MistralTokens().count(row)
    assert everything > 1
    assert learnt == 0


def test_a_model_folder_counts_through_its_chat_template(folder: Path) -> None:
    """<user> Who are you? </s> <assistant> A wind. </s>."""
    tokens = FolderTokens(folder)
    assert tokens.count(ROW) == (9, 3)
    assert tokens.name == f"tokenizers ({folder.name}/tokenizer.json)"


def test_a_folder_without_a_template_says_so(folder: Path) -> None:
    """The texts alone are counted."""
    (folder / "tokenizer_config.json").unlink()
    tokens = FolderTokens(folder)
    assert tokens.count(ROW) == (5, 3)
    assert "without a chat template" in tokens.name


def with_template(folder: Path, template: str) -> None:
    """Gives the model's folder another chat template."""
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))


def test_a_template_may_break_out_of_its_loops(folder: Path) -> None:
    """As transformers lets it."""
    with_template(folder, "{% for m in messages %}{{ m.content }}{% break %}{% endfor %}")
    assert FolderTokens(folder).count(ROW) == (3, 3)


def test_a_template_sees_tools_as_json(folder: Path) -> None:
    """As transformers writes it, not escaped for HTML; None for a row without tools."""
    with_template(folder, "{% if tools is none %}none{% else %}{{ tools | tojson }}{% endif %}")
    render = chat_template(folder)
    assert render
    assert render({**ROW, "tools": [{"a": "<é>"}]}) == '[{"a": "<é>"}]'
    assert render(ROW) == "none"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for m in messages %}", "does not parse"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ nothing() }}", "'nothing' is undefined"),
        ("{{ messages[0].content + 5 }}", "can only concatenate str"),
    ],
)
def test_a_template_that_fails_is_named(folder: Path, template: str, told: str) -> None:
    """By its file, with what jinja says."""
    with_template(folder, template)
    with pytest.raises(BadInputError, match=re.escape(told)) as caught:
        FolderTokens(folder).count(ROW)
    assert str(folder / "tokenizer_config.json") in str(caught.value)


@pytest.mark.parametrize("text", ["{broken", "[1]"])
def test_a_tokenizer_config_that_is_broken_is_named(folder: Path, text: str) -> None:
    """By its path."""
    (folder / "tokenizer_config.json").write_text(text)
    with pytest.raises(BadInputError, match=r"tokenizer_config\.json"):
        FolderTokens(folder)


def test_a_broken_tokenizer_is_named(folder: Path) -> None:
    """The library raises a bare `Exception` for it."""

    def broken(_path: str) -> None:
        raise Exception("expected value at line 1")  # as the library does

    sys.modules["tokenizers"].Tokenizer.from_file = broken
    with pytest.raises(BadInputError, match=r"tokenizer\.json.*expected value"):
        FolderTokens(folder)


def test_a_model_that_is_not_here_is_refused(tmp_path: Path) -> None:
    """A folder without a tokenizer, a name that nobody can look up offline."""
    with pytest.raises(BadInputError, match=r"has no tokenizer\.json"):
        tokenizer_for(str(tmp_path))
    with pytest.raises(BadInputError, match="give a local folder"):
        tokenizer_for("org/model")


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library comes with `train`."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(SetupError, match=r"maestrale\[train\]"):
        FolderTokens(tmp_path)


def test_a_dataset_knows_its_tokens(settings: Settings) -> None:
    """The manifest has them by Mistral's tokenizer; counted anew they are the same."""
    dataset = a_dataset(settings, [ROW], count_tokens=True)
    assert dataset.manifest.tokens == dataset.count_tokens()
    assert dataset.manifest.tokens
    assert dataset.manifest.tokens.parts["rows"].all.total == MistralTokens().count(ROW)[0]


def test_lengths_are_ranks() -> None:
    """Nearest ranks; nothing for no rows."""
    found = lengths(list(range(1, 101)))  # type: ignore[arg-type] # any sequence will do
    assert (found.total, found.p50, found.p95, found.longest) == (5050, 51, 96, 100)
    assert lengths([]).total == 0  # type: ignore[arg-type] # as above


def test_the_library_s_tokenizer_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For texts and for the template: each took two seconds; and it counts as its own loading."""
    loaded: list[Path] = []
    load = Tekkenizer.from_file
    offline.token_counter.cache_clear()
    offline.tekkenizer.cache_clear()
    monkeypatch.setattr(Tekkenizer, "from_file", lambda at: loaded.append(at) or load(at))
    said = [{"role": "user", "content": "Any news?"}, {"role": "assistant", "content": "yes"}]
    counted = MistralTokens().count({"messages": said})[0]
    assert len(loaded) == 1
    own = MistralTokenizer.from_file(str(loaded[0]), mode=ValidationMode.finetuning)
    request = ChatCompletionRequest.model_validate({"messages": said})
    assert counted == len(own.encode_chat_completion(request).tokens)
