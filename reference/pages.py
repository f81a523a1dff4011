"""Which files there are, and how they come into a folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from reference import commands, events, metrics, pipelines, recipes, settings, states, suites
from reference.markdown import table

HOME = Path("docs/reference")
_TOLD = {
    "commands.md": ("Every command, argument and option, and the exit codes", commands.page),
    "settings.md": ("Every variable of the environment that is read", settings.page),
    "recipes.md": ("Every key of a `recipe.toml`", recipes.page),
    "suites.md": ("Every key of a `suite.toml`", suites.page),
    "pipelines.md": ("Every key of a `pipeline.toml`, and what stages pass on", pipelines.page),
    "events.md": ("Every event with an example; what a webhook carries", events.page),
    "states.md": (
        "Every state with what leads out of it; why rows fail or are rejected",
        states.page,
    ),
    "metrics.md": ("Every metric that Prometheus may be told", metrics.page),
}


def _index() -> str:
    rows = [[f"[{name.removesuffix('.md')}]({name})", what] for name, (what, _) in _TOLD.items()]
    return (
        "# Reference\n\nMade from the code by `make reference`; a test holds the pages against it. "
        "To learn, start at the [README](../../README.md).\n\n"
        + table(("page", "what it lists"), rows)
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "README.md": _index,
    **{name: make for name, (_, make) in _TOLD.items()},
    events.SCHEMA: events.schema_text,
}
"""What makes each file of the folder."""


def write(folder: Path) -> list[str]:
    """All files, made anew; others are removed from the folder. Answers their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        if stale.is_file() and stale.name not in PAGES:
            stale.unlink()
    for name, make in PAGES.items():
        (folder / name).write_text(make(), "utf-8", newline="\n")
    return list(PAGES)
