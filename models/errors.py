"""The one tree of errors a user can meet. Every message says what to do next.

MaestraleError             exit code 1: something outside is not as it should be
├── BadInputError          exit code 2: the file, row, recipe or option handed in is wrong
│   ├── RecipeError        the recipe does not parse, or names what does not exist
│   ├── RejectedFileError  the input file as a whole is unusable, or too many of its rows are
│   └── DuplicateJobError  this submission exists already
├── NotFoundError          exit code 2: no such job
├── SetupError             exit code 1: Redis, the database, the key or the disk needs attention
│   └── StoreAwayError     the database does not answer: it may be back in a moment
├── SpentError             exit code 1: nothing is left of a run's budget just now
└── StoreBusyError         exit code 1: the database did not answer in time
"""


class MaestraleError(Exception):
    """Something foreseeable went wrong; `str(error)` is shown to the user as it is."""

    exit_code = 1


class BadInputError(MaestraleError):
    """What the user handed in cannot be used; nothing was enqueued or paid."""

    exit_code = 2


class RecipeError(BadInputError):
    """The recipe is not valid; the message names the file and the key."""


class RejectedFileError(BadInputError):
    """The input file is wholly wrong, or more of its rows are bad than allowed."""


class DuplicateJobError(BadInputError):
    """The same file or idempotency key was submitted before; the message names the job."""

    def __init__(self, message: str, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class NotFoundError(MaestraleError):
    """There is no such job, row or file."""

    exit_code = 2


class SetupError(MaestraleError):
    """A part that Maestrale needs is missing or refuses; the message says how to mend it."""


class StoreAwayError(SetupError):
    """The database is not there, or the connection to it was lost: who has time tries again."""


class SpentError(MaestraleError):
    """Nothing is left of a run's budget for a job of it: others may leave something."""


class StoreBusyError(MaestraleError):
    """The database did not answer within its time-out; nothing was changed."""
