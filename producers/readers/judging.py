"""When a file is refused as a whole, and what is said then."""

import re

from models.errors import RejectedFileError
from producers.readers.options import ReadOptions
from producers.readers.rejects import RejectCode
from producers.readers.staging import Staging

_ENCODING_HINT = "; it may be Windows-1252: convert it with iconv -f WINDOWS-1252 -t UTF-8"
_PRETTY_HINT = "; it looks like indented JSON: put each object on one line with jq -c ."


def judge(name: str, fingerprint: str, staging: Staging, options: ReadOptions) -> None:
    """Raise `RejectedFileError` if no row was accepted or too large a share was refused.

    Rows left out as duplicates do not count: that was asked for.
    """
    bad = staging.codes.total()
    total = bad + staging.accepted
    if not total:
        raise RejectedFileError(f"{name} holds no rows: there is nothing to do")
    if not staging.accepted:
        raise refusal(f"no row of {name} can be used", name, fingerprint, staging, options)
    if bad > total * options.max_rejected_share:
        share = f"{bad / total:.1%}; {options.max_rejected_share:.1%} are allowed"
        problem = f"{bad:,} of {total:,} rows of {name} are bad ({share})"
        raise refusal(problem, name, fingerprint, staging, options)


def refusal(
    problem: str, name: str, fingerprint: str, staging: Staging, options: ReadOptions
) -> RejectedFileError:
    """The error for a refused file, with counts by code; its rejects stay in the folder."""
    counts = ", ".join(f"{count:,} {code}" for code, count in staging.codes.most_common())
    first = f"; first, {staging.first_rejects[0]}" if staging.first_rejects else ""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80]
    staging.finish()
    path = staging.keep_rejects_as(f"rejected-{safe}-{fingerprint[:12]}.jsonl")
    where = f" All are listed in {path}." if path else ""
    found = f": {counts}{first}{_hint(staging)}." if counts else "."
    return RejectedFileError(f"{problem}{found}{where} {options.undone}")


def _hint(staging: Staging) -> str:
    """What all rejects together point to."""
    most = staging.codes.most_common(1)[0][0]
    if most is RejectCode.INVALID_UTF8:
        return _ENCODING_HINT
    first = staging.first_rejects[0]
    if first.code is RejectCode.BROKEN_JSON and first.excerpt.rstrip("\\nr").strip() == "{":
        return _PRETTY_HINT
    return ""
