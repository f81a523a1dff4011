"""Names the app for `celery -A worker ...`; `worker.app` builds it."""

from worker.app import build_app

app = build_app()
