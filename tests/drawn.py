"""The one profile of all property tests: the same examples in every run, and no clock in them.

Import it before the first `@given`; how many examples a test draws is its own affair.
"""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, configuration, settings

settings.register_profile(
    "maestrale",
    derandomize=True,  # a red test is red again; a new seed is a new test
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("maestrale")
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "maestrale-hypothesis")


def some(examples: int) -> settings:
    """So many examples under the profile."""
    return settings(max_examples=examples)
