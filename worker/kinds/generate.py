"""The generation kind: a row walks the steps of its recipe and becomes records."""

import asyncio
from typing import Any

from models.payloads import Failed, RowOutcome, Succeeded
from models.recipes import Choice, Problem, Read, RowProblem, Scope, Step
from models.states import FailureCode
from worker.gateway.mistral import to_choice
from worker.paying import Answered
from worker.rows import RowRun, Stopped

Body = dict[str, Any]


async def run_row(run: RowRun) -> RowOutcome:
    """Runs the recipe's steps in order; the first failure names the row's."""
    scope = Scope(row=run.row.data)
    try:
        for step in run.compiled.recipe.steps:
            answer = await _run_step(run, step, scope)
            if not isinstance(answer, Read):
                return answer
            scope.answers[step.name] = answer.value
        records = run.compiled.records(scope)
        return Succeeded(records, _provenance(run, scope))
    except RowProblem as problem:
        return Failed(problem.code, problem.detail)


async def _run_step(run: RowRun, step: Step, scope: Scope) -> Read | Stopped:
    """One answer, or for a fan-out one per item, asked at the same time."""
    bodies = run.compiled.requests(step, scope)
    if step.for_each is None:
        return await _answer(run, step, bodies[0])
    answers = await asyncio.gather(*(_answer(run, step, body) for body in bodies))
    stopped = [answer for answer in answers if not isinstance(answer, Read)]
    if stopped:  # a named failure says more than a wait beside it
        return next((answer for answer in stopped if isinstance(answer, Failed)), stopped[0])
    return Read([answer.value for answer in answers if isinstance(answer, Read)])


async def _answer(run: RowRun, step: Step, body: Body) -> Read | Stopped:
    """A usable answer. A retried row draws anew only where its earlier draws were of no use."""
    read: Read | Stopped = Failed(FailureCode.INTERNAL, "no draw was made")
    for attempt in range(run.row.attempt + 1):
        read = await _draw(run, step, body, run.shard.job.sample(attempt))
        if not isinstance(read, Failed):
            return read
    return read


async def _draw(run: RowRun, step: Step, body: Body, sample: str) -> Read | Stopped:
    """Asks, and once more with the error if the answer does not fit."""
    choice = await _ask(run, step, body, sample)
    if not isinstance(choice, Choice):
        return choice
    read = run.compiled.read(step, choice)
    if isinstance(read, Problem) and read.repairable:
        body = run.compiled.repair(step, body, choice, read)
        choice = await _ask(run, step, body, sample)
        if not isinstance(choice, Choice):
            return choice
        read = run.compiled.read(step, choice)
    return read if isinstance(read, Read) else Failed(read.code, f"{step.name}: {read.detail}")


async def _ask(run: RowRun, step: Step, body: Body, sample: str) -> Choice | Stopped:
    asked = await run.asker.ask(run.shard, "chat", body, sample=sample, continuing=bool(run.calls))
    if not isinstance(asked, Answered):
        return asked
    run.calls.append((step.name, asked))
    return to_choice(asked.answer)


def _provenance(run: RowRun, scope: Scope) -> dict[str, Any]:
    recipe = run.compiled.recipe
    return {
        "recipe": recipe.name,
        "recipe_hash": recipe.hash,
        "records": run.compiled.provenance(scope),
        "calls": [
            {
                "step": step,
                "model": asked.model,
                "prompt_hash": run.compiled.prompt_hashes[step],
                "key": asked.key,
                "prompt_tokens": asked.usage.prompt_tokens,
                "completion_tokens": asked.usage.completion_tokens,
            }
            for step, asked in run.calls
        ],
    }
