"""Options of the simulator that make no sense: exit code 2, and what would."""

import pytest

from simulator.command_line import read_options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--batch", "nosuch=3"),
            "no rule of --batch is called 'nosuch'; there are queued_s, rate",
        ),
        (("--port", "70000"), "70000 is no port"),
        (("--fault", "nosuch=1"), "no fault is called 'nosuch'"),
    ],
)
def test_a_wrong_option_is_told_with_those_there_are(
    options: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback."""
    with pytest.raises(SystemExit) as end:
        read_options(options)
    assert end.value.code == 2
    assert says in capsys.readouterr().err


def test_its_help_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`maestrale simulator --help` comes from here."""
    with pytest.raises(SystemExit) as end:
        read_options(["--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: maestrale simulator ")
