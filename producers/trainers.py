"""Whether anything trains, as far as can be told from here, and what to do if nothing does."""

from dataclasses import dataclass
from socket import gethostname

from models.errors import BadInputError
from models.settings import Settings
from producers.client import Maestrale
from producers.services import Services, can_train

TRAINER = "trainer"
"""The service's name; a sign of life does not say what a worker of another home takes on."""
NOT_INSTALLED = "what training takes is not installed here"
INSTALL = (
    "`pip install 'maestrale[train]'`, or name a Python that has it by MAESTRALE_TRAIN_PYTHON, "
    "then `maestrale up`"
)


@dataclass(frozen=True, slots=True)
class Lack:
    """Why no trainer runs here, and what to do about it."""

    why: str
    advice: str

    @property
    def words(self) -> str:
        """Both in one line."""
        return f"no trainer: {self.why}: {self.advice}"


def lives_here(settings: Settings) -> bool:
    """Whether `maestrale up` of this home started one that is alive."""
    return any(service.name == TRAINER for service in Services(settings).running())


def what_lacks(settings: Settings) -> Lack | None:
    """Why none runs here; None: one does."""
    if lives_here(settings):
        return None
    if can_train(settings):
        return Lack("none runs here", "`maestrale up` starts one")
    return Lack(NOT_INSTALLED, INSTALL)


def missing(maestrale: Maestrale) -> str:
    """Why a run may stay queued, with what to do; empty: a trainer lives here."""
    lack = what_lacks(maestrale.settings)
    if lack is None:
        return ""
    others = strangers(maestrale)
    unless = f"unless {others} trains" if others else "until then"
    return f"{lack.words}; {unless}, the run stays queued"


def check(maestrale: Maestrale) -> None:
    """Raises `BadInputError` where a run would wait without end: what training takes is not
    installed here, and nobody who might have it is alive."""
    settings = maestrale.settings
    if not (lives_here(settings) or can_train(settings) or strangers(maestrale)):
        raise BadInputError(
            f"no trainer: {NOT_INSTALLED}, and no worker elsewhere is alive: {INSTALL}"
        )


def strangers(maestrale: Maestrale) -> str:
    """`one of the 2 workers started elsewhere`: living ones, any of which may be a trainer."""
    ours = {(gethostname(), str(one.pid)) for one in Services(maestrale.settings).running()}
    found = [one for one in maestrale.workers() if tuple(one.id.split(":")[:2]) not in ours]
    which = {0: "", 1: "the worker"}.get(len(found), f"one of the {len(found)} workers")
    return which and f"{which} started elsewhere"
