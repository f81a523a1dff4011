"""The serving program before its engine is started."""

import pytest

from worker.serving.__main__ import main


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--base=/no/such"], "no model at"),
        (["--base=some/hub-name"], "not there as a .gguf"),
        (["--base=smollm2", "--adapter=/no/such.gguf", "--name=x"], "no adapter at"),
        (["--base=smollm2", "--adapter=/no/such.gguf"], "its --name"),
    ],
)
def test_what_cannot_be_served_is_told(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    """With exit code 2, before the engine is started."""
    assert main(options) == 2
    assert said in capsys.readouterr().err
