"""Our pages by address and name, and how they get into Flower."""

from collections.abc import Sequence
from typing import Any

from tornado.routing import URLSpec
from tornado.web import url

from dashboard.assets import STATIC, StaticFiles, Templates
from dashboard.database import Database
from dashboard.job import MOVES, JobAction, JobView
from dashboard.jobs import JobsView
from dashboard.limits import LimitsView
from dashboard.metrics import Broker, MetricsView
from dashboard.report import ReportView
from dashboard.review import (
    BeginAction,
    JudgeAction,
    PairView,
    ResultView,
    ReviewsView,
    ReviewView,
)
from dashboard.webhooks import DeliveryView, EndpointAction, ReplayAction, WebhooksView
from models.settings import Settings
from models.store.engine import Store, open_store

POOL = 2
"""Connections kept; at most four more are opened, for as many threads (dashboard/database.py)."""


def pages() -> Sequence[URLSpec]:
    """A new list each time. The names are what `address` in views and templates takes."""
    return [
        url(r"/jobs", JobsView, name="jobs"),
        url(r"/job/([^/]+)", JobView, name="job"),
        url(rf"/job/([^/]+)/({'|'.join(MOVES)})", JobAction, name="job-move"),
        url(r"/job/([^/]+)/report", ReportView, name="report"),
        url(r"/reviews", ReviewsView, name="reviews"),
        url(r"/review/([^/]+)", ReviewView, name="review"),
        url(r"/review/([^/]+)/begin", BeginAction, name="review-begin"),
        url(r"/review/([^/]+)/pair", PairView, name="review-pair"),
        url(r"/review/([^/]+)/judge", JudgeAction, name="review-judge"),
        url(r"/review/([^/]+)/result", ResultView, name="review-result"),
        url(r"/webhooks", WebhooksView, name="webhooks"),
        url(r"/webhooks/delivery/(\d{1,12})", DeliveryView, name="delivery"),
        url(r"/webhooks/delivery/(\d{1,12})/replay", ReplayAction, name="replay"),
        url(r"/webhooks/endpoint/([^/]+)/(enable|disable)", EndpointAction, name="endpoint-move"),
        url(r"/limits", LimitsView, name="limits"),
        url(r"/maestrale/static/(.*)", StaticFiles, {"path": STATIC}, name="maestrale-static"),
    ]


def install(handlers: list[Any], settings: dict[str, Any]) -> None:
    """Puts our pages and templates into Flower's lists, before it makes its application.

    `handlers` and `settings` are those of `flower.urls`; the last handler is the one that answers
    404 to everything.
    """
    handlers[-1:-1] = pages()
    handlers[:0] = [url(r"/metrics", MetricsView)]  # before Flower's own, which it contains
    settings["template_loader"] = Templates(settings["template_path"])
    settings["xsrf_cookie_kwargs"] = {"samesite": "Lax"}
    settings["maestrale_database"] = Database(_open)
    settings["maestrale_broker"] = Broker()


def _open() -> Store:
    return open_store(Settings(), pool_size=POOL)
