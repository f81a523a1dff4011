"""`maestrale models ...`: what was trained, where it comes from, served and copied."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated, Literal

import typer

from producers.cli.options import AsJson, Newest, Overwrite

app = typer.Typer(no_args_is_help=True, help="The registry of tuned models.")
ModelName = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]


@app.command("list")
def list_(limit: Newest = 50, as_json: AsJson = False) -> None:
    """List the tuned models, the newest first."""
    from producers.cli.opening import client
    from producers.cli.rendering import showing, training_words
    from producers.cli.voice import Voice
    from producers.training import Training

    with client() as maestrale:
        found = Training(maestrale).models(limit=limit)
        now = maestrale.store.now()
    empty = showing.hint("There are no tuned models yet:", "maestrale train DATASET --base MODEL")
    words = training_words.models(found, now) if found else empty
    Voice(as_json=as_json).facts([training_words.model_facts(one) for one in found], words)


@app.command()
def show(name: ModelName, as_json: AsJson = False) -> None:
    """Show a model with its lineage: dataset, parameters, seed, losses, job, version."""
    from producers.cli.opening import client
    from producers.cli.rendering import training_words
    from producers.cli.voice import Voice
    from producers.training import Training

    with client() as maestrale:
        found = Training(maestrale).model(name)
    Voice(as_json=as_json).facts(training_words.model_facts(found), training_words.model(found))


@app.command()
def serve(
    name: ModelName,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On loopback; 0: a free one, which is told.")
    ] = 8080,
    parallel: Annotated[
        int, typer.Option(min=1, help="Requests answered at the same time (llama.cpp).")
    ] = 4,
    context: Annotated[int, typer.Option(min=64, help="Tokens of a conversation at most.")] = 2048,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the CPU (llama.cpp).")] = 1,
    engine: Annotated[
        Literal["auto", "llama.cpp", "vllm"],
        typer.Option(help="What serves; auto: vLLM where it is installed and there is a GPU."),
    ] = "auto",
) -> None:
    """Answer /v1/chat/completions with a model trained here, and with its base."""
    import os

    from models import served
    from producers import registry
    from producers.cli.opening import client
    from producers.cli.rendering import showing
    from producers.cli.voice import Voice
    from producers.processes import free_port
    from producers.training import Training

    with client() as maestrale:
        model = Training(maestrale).model(name)
        settings = maestrale.settings
    registry.check_servable(model, settings)
    port = port or free_port()
    if engine == "vllm" or (engine == "auto" and registry.has_vllm()):
        command = registry.vllm_command(model, settings.home, port=port, context=context)
        parallel = registry.VLLM_PARALLEL
    else:
        sizes = {"parallel": parallel, "context": context, "threads": threads}
        command = registry.llama_command(model, settings, port=port, **sizes)
    _check_free(port)
    voice = Voice(as_json=True)  # stdout is the server's
    voice.say(showing.hint("While this runs, ask it by its name (in another terminal):"))
    voice.commands(f"maestrale generate FILE --recipe NAME --model {name}")
    base = registry.base_of(model, settings.home)
    names = registry.served_names(model, settings)
    served.note(settings.home, port, names, parallel=parallel, base=base)
    os.execvp(command[0], command)  # noqa: S606 # this process becomes the server, and ends with it


def _check_free(port: int) -> None:
    """Before the model is loaded. Raises `BadInputError` where another program listens."""
    from models.errors import BadInputError
    from producers import processes

    if not processes.is_free(port):
        raise BadInputError(
            f"port {port} cannot be listened on (another program has it, or it needs rights): "
            "choose another --port (0 takes a free one)"
        )


@app.command()
def export(
    name: ModelName,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where to put the copy.")],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Copy a model's files, with a lineage.json that says where it comes from."""
    from producers import registry
    from producers.cli.opening import client
    from producers.cli.rendering import showing, training_words
    from producers.cli.voice import Voice
    from producers.training import Training

    with client() as maestrale:
        model = Training(maestrale).model(name)
        lineage = training_words.model_facts(model)
        home = maestrale.settings.home
    names = registry.export(model, lineage, home, to, overwrite=overwrite)
    facts = {"model": model.name, "folder": str(to.expanduser().resolve()), "files": names}
    Voice(as_json=as_json).facts(facts, showing.line("written", f"{to}: {', '.join(names)}"))
