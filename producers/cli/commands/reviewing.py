"""`maestrale review ...`: blinded pairs for people to judge, sheets, and the result."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated

import typer

from producers.cli.options import AsJson, Newest, Overwrite

app = typer.Typer(
    no_args_is_help=True, help="Have people judge pairs of answers, blind to whose they are."
)
ReviewId = Annotated[
    str,
    typer.Argument(metavar="REVIEW", help="The review's id, or any beginning that is unique."),
]
AnswerFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Answers from elsewhere, as rows with ids.")
]


@app.command()
def make(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="JOB", help="The evaluation whose answers are judged; or give two files."
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models", "-m", metavar="A,B", help="Which two, as the evaluation calls them."
        ),
    ] = None,
    left_file: AnswerFile = None,
    right_file: AnswerFile = None,
    pairs: Annotated[
        int, typer.Option(min=1, max=5_000, metavar="N", help="How many pairs, chosen by chance.")
    ] = 50,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Make the same choice and sides again. Whoever knows it can tell the sides.  "
            "\\[default: drawn, and told by the result]",
            show_default=False,
        ),
    ] = None,
    question: Annotated[
        str, typer.Option(metavar="TEXT", help="What reviewers are asked.")
    ] = "Which answer is better?",
    name: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="What reviewers see it called.  \\[default: the suite's name]"
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make blinded pairs of two models' answers to the same rows.

    Which of the two stands left is drawn for each pair. Rows where both say the same are left out.
    Two files (--left-file, --right-file) are compared in place of an evaluation: JSON lines or CSV
    with `id`, `answer` and perhaps `question`; sides are drawn for them too.
    """
    from models.errors import BadInputError
    from producers.cli.opening import client
    from producers.cli.rendering import review_words
    from producers.cli.voice import Voice
    from producers.reviewing import Reviewing
    from producers.reviewing.reviewing import Wish

    named = [part.strip() for part in (models or "").split(",") if part.strip()]
    wish = Wish(pairs=pairs, seed=seed, question=question, name=name)
    if (left_file is None) != (right_file is None) or (job is None) == (left_file is None):
        raise BadInputError("give an evaluation's job, or both --left-file and --right-file")
    voice = Voice(as_json=as_json)
    with client() as maestrale:
        reviewing = Reviewing(maestrale)
        with voice.busy("reading answers"):
            if left_file and right_file:
                review = reviewing.make_from_files(left_file, right_file, named, wish)
            else:
                review = reviewing.make(job or "", named, wish)
        telling = reviewing.telling(review)
    facts = review_words.review_facts(review, pairs_that_name_a_model=telling)
    voice.facts(facts, *review_words.made(review, telling))


@app.command("list")
def list_(
    job: Annotated[
        str | None,
        typer.Option("--job", metavar="JOB", help="Only of this job.", show_default=False),
    ] = None,
    limit: Newest = 50,
    as_json: AsJson = False,
) -> None:
    """List the reviews, the newest first, with how far each reviewer is."""
    from producers.cli.opening import client
    from producers.cli.rendering import review_words
    from producers.cli.voice import Voice
    from producers.reviewing import Reviewing

    with client() as maestrale:
        job_id = maestrale.get(job).id if job else ""
        found = Reviewing(maestrale).newest(job_id=job_id, limit=limit)
        words = review_words.listed(found, maestrale.store.now())
    Voice(as_json=as_json).facts([review_words.listed_facts(one) for one in found], words)


@app.command()
def export(
    review_id: ReviewId,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write it.")],
    reviewer: Annotated[
        str,
        typer.Option(metavar="NAME", help="In this reviewer's order, with what they said so far."),
    ] = "",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write the pairs as a CSV sheet, blinded, for who prefers to judge in one."""
    from producers.cli.opening import client
    from producers.cli.rendering import review_words
    from producers.cli.voice import Voice
    from producers.reviewing import Reviewing

    with client() as maestrale:
        reviewing = Reviewing(maestrale)
        review = reviewing.get(review_id)
        path = reviewing.export(review.id, out, reviewer=reviewer, overwrite=overwrite)
    facts = {"review": review.id, "sheet": str(path), "pairs": review.pairs_total}
    Voice(as_json=as_json).facts(facts, *review_words.exported(review, path))


@app.command("import")
def import_(
    review_id: ReviewId,
    sheet: Annotated[Path, typer.Argument(metavar="SHEET", help="The filled sheet.")],
    reviewer: Annotated[str, typer.Option(metavar="NAME", help="Whose judgements these are.")],
    as_json: AsJson = False,
) -> None:
    """Take a filled sheet in: all of it, or, where a line is wrong, nothing."""
    from producers.cli.opening import client
    from producers.cli.rendering import review_words
    from producers.cli.voice import Voice
    from producers.reviewing import Reviewing

    with client() as maestrale:
        reviewing = Reviewing(maestrale)
        review = reviewing.get(review_id)
        found = reviewing.take_in(review.id, sheet, reviewer)
    facts = review_words.imported_facts(review, found)
    Voice(as_json=as_json).facts(facts, *review_words.imported(review, found))


@app.command()
def result(
    review_id: ReviewId,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write JSON, Markdown and CSV here."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Take the blinds off: won, tied, lost with intervals, the sign test, agreement, comments.

    A pair that several people judged counts once, by what more than half of them said; where no
    word has more than half, it is a tie.
    """
    from producers.cli.opening import client
    from producers.cli.rendering import review_words, showing
    from producers.cli.voice import Voice
    from producers.reviewing import Reviewing

    with client() as maestrale:
        reviewing = Reviewing(maestrale)
        review = reviewing.get(review_id)
        found = reviewing.result(review.id)
        files = reviewing.write_result(found, out, overwrite=overwrite) if out else []
    words = [review_words.result(found)]
    if files:
        words.append(showing.line("written", f"{out}: {', '.join(files)}"))
    facts = review_words.result_facts(found, files, review.seed)
    Voice(as_json=as_json).facts(facts, *words)


@app.command()
def forget(
    review_id: ReviewId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a review with its pairs and everything that people said of them.

    Nothing else does: `prune` keeps reviews when it forgets the evaluation.
    """
    from producers.cli.opening import client
    from producers.cli.rendering import showing
    from producers.cli.voice import Voice
    from producers.reviewing import Reviewing

    with client() as maestrale:
        reviewing = Reviewing(maestrale)
        review = reviewing.get(review_id)
        if not yes:
            typer.confirm(f"Delete {review.id} with all that was said of it?", abort=True, err=True)
        reviewing.forget(review.id)
    Voice(as_json=as_json).facts({"forgotten": review.id}, showing.line("forgotten", review.id))
