"""The report of a job as a page of its own, as it was kept."""

from typing import Any

from tornado.web import HTTPError

from dashboard.frame import View
from dashboard.job import KNOWN_ID, UNKNOWN
from models.store import reports

NONE = "there is no report of this job yet: `maestrale report` makes it"
POLICY = "; ".join(
    (
        "sandbox",  # nothing in it can run or be sent, whatever it is
        "default-src 'none'",
        "style-src 'unsafe-inline'",  # its own style sheet, which its own policy names by hash
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


class ReportView(View):
    """`/job/ID/report`: the page that stands alone, for whoever may see the job."""

    tab = "jobs"

    async def get(self, job_id: str) -> None:
        """The kept page; 404 in our look where there is none."""
        page: Any = None
        if not KNOWN_ID.fullmatch(job_id):
            raise HTTPError(404, UNKNOWN)
        page = await self.database.read(reports.page, job_id)
        if page is None:
            raise HTTPError(404, NONE)
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page)
