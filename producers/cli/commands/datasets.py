"""`maestrale dataset ...`: make, split, show, validate, tokens."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated, Literal

import typer

from models.bounds import MOST_COUNT, MOST_SEQ_LEN
from producers.cli import codes
from producers.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Make datasets for training, split and check them.")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The dataset's name, or the path of its folder.")
]
MinChars = Annotated[
    int | None,
    typer.Option(
        min=0, max=MOST_COUNT, metavar="N", help="Leave out shorter rows.", show_default=False
    ),
]
MaxChars = Annotated[
    int | None,
    typer.Option(
        min=0, max=MOST_COUNT, metavar="N", help="Leave out longer rows.", show_default=False
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=MOST_COUNT,
        metavar="N",
        help="Leave out longer rows, by Mistral's tokens.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the dataset of that name.")]
NoTokens = Annotated[
    bool, typer.Option("--no-tokens", help="Count no tokens: a million rows take minutes.")
]
PROMPT_HELP = "Makes conversations of any rows: '{{ row.text }}' and the like, in Jinja."


@app.command()
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it shall be called.")],
    sources: Annotated[
        list[str], typer.Argument(metavar="FROM...", help="Files (.gz, .zst too), or ids of jobs.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where it lies.  \\[default: datasets/NAME in the home]",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[str, typer.Option(metavar="TEMPLATE", help=PROMPT_HELP)] = "",
    answer: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="The assistant's answer, as --prompt.")
    ] = "",
    system: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="A system message before the prompt.")
    ] = "",
    split_field: Annotated[
        str,
        typer.Option(
            metavar="FIELD", help="Divide by the rows' own field: train, validation, test."
        ),
    ] = "",
    dedupe: Annotated[
        Literal["exact", "near", "none"],
        typer.Option(help="Leave out rows that say the same, exactly or nearly."),
    ] = "near",
    threshold: Annotated[
        float,
        typer.Option(min=0.5, max=1, help="How much prompts and answers of near ones share."),
    ] = 0.9,
    min_chars: MinChars = None,
    max_chars: MaxChars = None,
    max_tokens: MaxTokens = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option(metavar="REGEX", help="Leave out rows that match; repeatable."),
    ] = None,
    require_field: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Leave out rows without it; repeatable."),
    ] = None,
    max_rejected: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="More broken rows than this share: nothing is made."
        ),
    ] = 0.05,
    on_duplicate: Annotated[
        Literal["stop", "first", "last"],
        typer.Option(help="Rows of one file with the same id: refuse the file, or keep one."),
    ] = "stop",
    no_tokens: NoTokens = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of files and finished jobs."""
    from producers.cli.opening import client
    from producers.cli.rendering import dataset_words
    from producers.cli.voice import Voice
    from producers.datasets.making import Wish
    from producers.datasets.making import make as make_dataset
    from producers.datasets.manifest import Filters, Shape

    voice = Voice(as_json=as_json)
    wish = Wish(
        sources=sources,
        filters=Filters(
            min_chars=min_chars,
            max_chars=max_chars,
            max_tokens=max_tokens,
            forbid=forbid or [],
            require_field=require_field or [],
        ),
        shape=Shape(system=system, prompt=prompt, answer=answer, split_field=split_field),
        dedupe=dedupe,
        threshold=threshold,
        max_rejected_share=max_rejected,
        on_duplicate=on_duplicate,
        count_tokens=not no_tokens,
        overwrite=overwrite,
    )
    with client() as maestrale, voice.busy("making the dataset"):
        dataset = make_dataset(maestrale, name, wish, out)
    voice.facts(dataset_words.dataset_facts(dataset), dataset_words.made(dataset))


@app.command()
def split(
    name: Name,
    train: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="How much is to train on.")
    ] = 0.8,
    validation: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="How much is to validate on.")
    ] = 0.1,
    test: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="How much is to test on.  \\[default: what is left]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed divides otherwise.")] = 7,
    group_by: Annotated[
        str,
        typer.Option(
            metavar="FIELD",
            help="Rows with the same value stay together.  \\[default: rows of one input row do]",
            show_default=False,
        ),
    ] = "",
    no_tokens: NoTokens = False,
    as_json: AsJson = False,
) -> None:
    """Divide a dataset; more rows later move none from one part to another."""
    from producers.cli.opening import read_settings
    from producers.cli.rendering import dataset_words
    from producers.cli.voice import Voice
    from producers.datasets import splitting

    voice = Voice(as_json=as_json)
    shares = splitting.checked_shares(train, validation, test)
    with voice.busy("dividing"):
        dataset = splitting.split(
            read_settings(),
            name,
            shares,
            seed=seed,
            group_by=group_by,
            count_tokens=not no_tokens,
        )
    voice.facts(dataset_words.dataset_facts(dataset), dataset_words.made(dataset))


@app.command()
def show(
    name: Name,
    samples: Annotated[
        int, typer.Option(min=0, max=100, metavar="N", help="How many rows of each part to show.")
    ] = 2,
    as_json: AsJson = False,
) -> None:
    """Show a dataset: parts, tokens, hash, origins, histograms, samples."""
    from producers.cli.opening import read_settings
    from producers.cli.rendering import dataset_words
    from producers.cli.voice import Voice
    from producers.datasets import open_dataset
    from producers.datasets.row_statistics import figures_of

    dataset = open_dataset(read_settings(), name)
    figures = {part: figures_of(dataset.rows(part), samples=samples) for part in dataset.parts}
    told = dataset_words.figures_facts(figures)
    facts = {**dataset_words.dataset_facts(dataset), "figures": told}
    Voice(as_json=as_json).facts(facts, dataset_words.page(dataset, figures))


@app.command()
def validate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A dataset, or a file of rows.")],
    as_json: AsJson = False,
) -> None:
    """Check every row by the trainers' rules. Exit code 2 if one is broken."""
    from producers.cli.opening import read_settings
    from producers.cli.rendering import dataset_words
    from producers.cli.voice import Voice
    from producers.datasets.validating import validate as check

    voice = Voice(as_json=as_json)
    with voice.busy("checking"):
        report = check(read_settings(), name)
    voice.facts(dataset_words.report_facts(report), dataset_words.report(name, report))
    raise typer.Exit(codes.DONE if report.is_good else codes.WRONG_INPUT)


@app.command()
def tokens(
    name: Name,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="A local folder with tokenizer.json.  \\[default: Mistral's tokenizer]",
            show_default=False,
        ),
    ] = "",
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Count as `train --base MODEL` on this machine will: shaped by its template, cut.",
            show_default=False,
        ),
    ] = "",
    seq_len: Annotated[
        int,
        typer.Option(
            min=16, max=MOST_SEQ_LEN, metavar="N", help="With --base: tokens per row at most."
        ),
    ] = 1024,
    as_json: AsJson = False,
) -> None:
    """Count the tokens of a dataset, by the model that will learn from them."""
    from producers.cli.opening import read_settings
    from producers.cli.rendering import dataset_words
    from producers.cli.voice import Voice
    from producers.datasets import open_dataset

    voice, settings = Voice(as_json=as_json), read_settings()
    dataset = open_dataset(settings, name)
    if base:
        with voice.busy("counting"):
            counts = dataset.count_for(base, seq_len, settings)
        voice.facts({"name": dataset.name, **counts.model_dump()}, dataset_words.counts_of(counts))
        return
    with voice.busy("counting"):
        found = dataset.count_tokens(model)
        if not model:
            dataset.keep_tokens(found)
    voice.facts({"name": dataset.name, **found.model_dump()}, dataset_words.tokens(found))
