"""Flower executes this file before it starts (FLOWER_CONF, as the worker's app sets it).

A name here that is also an option of Flower's sets it, over the environment: so there is but one.
"""

import sys

from flower import urls
from tornado.options import options

from dashboard.opening import secure
from dashboard.pages import install
from dashboard.task_words import readable
from models.errors import SetupError

format_task = readable
try:
    secure(options)
except SetupError as problem:
    sys.exit(f"flower: {problem}")
install(urls.handlers, urls.settings)
