"""The frame of our pages inside Flower: who may see and act, headers, errors, the database.

A page is a `View` and a template that extends `maestrale/frame.html`:

    class JobView(View):                       # registered in dashboard/pages.py
        tab = "jobs"                           # which tab is lit

        async def get(self, job_id: str) -> None:
            job = await self.database.read(jobpage.job, job_id)   # query(connection, job_id)
            if job is None:
                raise HTTPError(404, "there is no such job")
            self.show("maestrale/job.html", title=job_id, job=job)

    {% extends "maestrale/frame.html" %}       {# dashboard/templates/job.html #}
    {% block page %}
      <div id="live" data-live>...</div>       {# again every 2 s; "30": every 30 s #}
    {% end %}

* Parts that live need an id; elements in them keep focus and place by their ids. `aside` holds
  what does not change (forms). A page can be read without the script.
* `self.query("sort", "created")` reads the query string (Flower's `get_argument` escapes HTML).
* `self.address("job", job_id)` and `{{ address('job', job_id) }}` make URLs, prefix included.
  `{{ words.safe(x) }}`, `words.money(nano)`, `words.moment(at)`, `words.ago(seconds)` ...: see
  `dashboard/words.py`. Everything is escaped by Tornado: never `{% raw %}` on data.
* No inline script or style (the CSP forbids both): classes of `static/frame.css`; numbers go into
  SVG attributes (`width="40"`), never into `style`.
* `SetupError` and `StoreBusyError` become a readable page with status 503 by themselves.

An action is an `Action`, its form a POST with the token in it:

    class Pause(Action):
        async def act(self, job_id: str) -> str:                  # the address to go back to
            moved = await self.database.write(jobs.pause, job_id, "paused on the dashboard")
            self.tell("It is paused." if moved else "It was not running any more.")
            return self.address("job", job_id)

    {% if may_act %}
      <form method="post" action="{{ address('pause', job_id) }}">
        {% module xsrf_form_html() %}<button class="btn btn-sm btn-outline-primary">Pause</button>
      </form>
    {% else %}{% set doing = "pause" %}{% include "maestrale/locked.html" %}{% end %}

`Action` answers 403 unless Flower has a password (or OAuth) and is not read-only, checks where the
form comes from and Tornado's XSRF token, and goes back with 303, so that it works without the
script. `self.tell(...)` is shown once, on the next page.
"""

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from tornado.web import HTTPError, RequestHandler, authenticated

from dashboard import assets, words
from dashboard.database import Database
from dashboard.opening import is_loopback
from models.errors import SetupError, StoreBusyError

if TYPE_CHECKING:  # Flower is untyped; this is what its handler is

    class FlowerHandler(RequestHandler):
        """Tornado's handler in Flower's application, which has `options` and `capp` (Celery)."""

        application: Any
else:
    from flower.views import BaseHandler as FlowerHandler

log = logging.getLogger(__name__)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # bootstrap's icons are data: URLs in its style
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    # not `no-referrer`: browsers would send `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
}
TOLD = "maestrale_told"
"""The cookie that carries a message to the next page."""


class View(FlowerHandler):
    """One page of ours, for whoever may see Flower's."""

    tab = ""
    """Which tab is lit."""

    @property
    def database(self) -> Database:
        """The database; ask it with `read` and `write`."""
        found: Database = self.settings["maestrale_database"]
        return found

    @property
    def may_act(self) -> bool:
        """Whether this Flower lets people act: it knows who they are, and is not read-only."""
        options = self.application.options
        return bool(options.basic_auth or options.auth) and not options.read_only

    def set_default_headers(self) -> None:
        """Also on errors. None of Flower's own: it may open itself to other origins."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    @authenticated
    def prepare(self) -> None:
        """Nobody gets past this unknown, whatever the method."""
        if not self._is_asked_by_its_address():
            raise HTTPError(403, "without a password, Flower answers to 127.0.0.1 and localhost")

    def _is_asked_by_its_address(self) -> bool:
        """Else a foreign site, whose name it lets point to this machine, could read our pages."""
        options = self.application.options
        if options.basic_auth or options.auth or options.unix_socket:
            return True
        return is_loopback(self.request.host_name.strip("[]"))

    def query(self, name: str, default: str = "", *, limit: int = 200) -> str:
        """A value of the query string, cut at `limit` characters; PostgreSQL takes no NUL."""
        return str(self.get_query_argument(name, default))[:limit].replace("\0", "")

    def address(self, name: str, *parts: object, **query: object) -> str:
        """The URL of the page `name` (dashboard/pages.py), with Flower's prefix."""
        return words.with_query(self.reverse_url(name, *map(str, parts)), query)

    def static(self, name: str) -> str:
        """The URL of a file of ours."""
        return self.address("maestrale-static", name, v=assets.version_of(name))

    def show(self, template: str, *, title: str, **names: Any) -> None:
        """Answers with a page; `names` are what its template knows beside the usual."""
        self.render(template, title=title, active_tab=self.tab, told=self._told(), **names)

    def get_template_namespace(self) -> dict[str, Any]:
        """What all our templates know."""
        return super().get_template_namespace() | {
            "address": self.address,
            "our_static": self.static,
            "may_act": self.may_act,
            "words": words,
            "needs_tabs": not self.settings["template_loader"].has_place,
        }

    def tell(self, text: str) -> None:
        """Says something once, on the page that follows."""
        self.set_secure_cookie(TOLD, text, expires_days=None, path=self._root())

    def _told(self) -> str:
        if not self.get_cookie(TOLD):
            return ""
        self.clear_cookie(TOLD, path=self._root())
        return (self.get_signed_cookie(TOLD) or b"").decode("utf-8", "replace")

    def _root(self) -> str:
        return "/" + (self.application.options.url_prefix or "").strip("/")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A page that says what is wrong and what to do: never a trace."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, SetupError | StoreBusyError):
            status_code = 503
            self.set_status(status_code)
        if status_code == 401:
            super().write_error(status_code, **kwargs)
            return
        if not hasattr(self, "_current_user"):
            self.current_user = None  # rendering must not ask for a password again
        self.render(
            "maestrale/problem.html",
            title=words.STATUSES.get(status_code, "Something went wrong"),
            active_tab=self.tab,
            told="",
            status=status_code,
            text=_reason(error),
        )

    def log_exception(self, *error: Any) -> None:
        """A database that is away is one line in the log."""
        if isinstance(error[1], SetupError | StoreBusyError):
            log.warning("%s: %s", self.request.path, error[1])
        else:
            super().log_exception(*error)


class Action(View):
    """Something a person does by a form: `act`, then back to a page."""

    def check_xsrf_cookie(self) -> None:
        """The form came from our own page and carries the token (Flower's own asks for less).

        Tornado calls this before `prepare`: so who is not known is asked for the password here.
        """
        if not self.current_user:
            raise HTTPError(403, "sign in first")
        site = self.request.headers.get("Sec-Fetch-Site")
        origin = self.request.headers.get("Origin")
        if site not in (None, "same-origin"):
            raise HTTPError(403, "this form was sent from another site")
        if site is None and origin and urlparse(origin).netloc != self.request.host:
            raise HTTPError(403, "this form was sent from another site")
        RequestHandler.check_xsrf_cookie(self)

    async def post(self, *parts: str) -> None:
        """Acts, and goes back with 303 so that a reload does not act again."""
        if not self.may_act:
            raise HTTPError(403, words.LOCKED)
        self.redirect(await self.act(*parts), status=303)

    async def act(self, *parts: Any, **_: Any) -> str:
        """Does it, for the parts of the address; answers the address to go back to."""
        raise NotImplementedError


def _reason(error: BaseException | None) -> str:
    """What may be told: our own words, never an exception's that nobody foresaw."""
    if isinstance(error, SetupError | StoreBusyError):
        return str(error)
    if isinstance(error, HTTPError):
        return error.log_message or ""
    return ""
