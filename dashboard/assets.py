"""Templates and static files: ours, Flower's, and Flower's navigation with our tabs in it."""

import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import Any

from tornado.template import Loader, Template
from tornado.web import HTTPError, StaticFileHandler

TEMPLATES = Path(__file__).with_name("templates")
STATIC = Path(__file__).with_name("static")
OURS = "maestrale/"
"""Templates of ours are named with this in front; all other names are Flower's."""
NAVIGATION = "navbar.html"
PLACE = '<ul class="app-nav navbar-nav">'
"""Flower's list of tabs begins with this; ours come first in it."""

log = logging.getLogger(__name__)


class Templates(Loader):
    """Finds `maestrale/...` in our folder and everything else in Flower's."""

    def __init__(self, flowers: str, **options: Any) -> None:
        super().__init__(flowers, **options)
        self.has_place = PLACE in Path(flowers, NAVIGATION).read_text("utf-8")
        """Whether Flower's navigation takes our tabs; else our own pages show them."""
        if not self.has_place:
            log.warning("this Flower's navigation has no place for our tabs: open /jobs yourself")

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:
        """Names count from the root, so that ours and Flower's may extend each other."""
        return name

    def _create_template(self, name: str) -> Template:
        if name.startswith(OURS):
            text = (TEMPLATES / name.removeprefix(OURS)).read_bytes()
            return Template(text, name=name, loader=self)
        if name == NAVIGATION:
            navigation = Path(self.root, name).read_text("utf-8")
            tabs = f'{PLACE}\n{{% include "{OURS}tabs.html" %}}'
            return Template(navigation.replace(PLACE, tabs, 1), name=name, loader=self)
        return super()._create_template(name)


class StaticFiles(StaticFileHandler):
    """Our style and script: no secrets in them, so they are served as Flower serves its own."""

    def parse_url_path(self, url_path: str) -> str:
        """No file has NUL in its name, and asking the system for one is an error of ours."""
        if "\0" in url_path:
            raise HTTPError(404)
        return super().parse_url_path(url_path)

    def set_extra_headers(self, path: str) -> None:
        """Nobody shall take a style for a script."""
        self.set_header("X-Content-Type-Options", "nosniff")


@cache
def version_of(name: str) -> str:
    """Changes when the file does, so that browsers may keep it for ever."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
