"""What `celery -A worker` does with settings that it cannot use."""

from pathlib import Path

import pytest

from worker.app import build_app


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("REDIS_URL", url)
            for url in ("http://[::1", "amqp://u:hidden@x", "unix:///s", "nonsense")
        ),
        *(("REDIS_URL", f"redis://{rest}") for rest in ("u:hidden/x@h:1/0", "u:hidden@h:port/0")),
        ("MAESTRALE_METRICS", "9464"),
        ("MISTRAL_API_KEY", "hidden\udcff"),
    ],
)
def test_it_ends_with_a_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    value: str,
) -> None:
    """Exit code 2, before anything is opened, and no password in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAESTRALE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        build_app()
    told = capsys.readouterr().err
    assert (ended.value.code, told.count("\n")) == (2, 1)
    assert name in told
    assert "hidden" not in told
    assert not (tmp_path / "home").exists()
