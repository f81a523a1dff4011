"""Evaluation suites: TOML that says what models are asked, and how their answers are judged.

Pure but for `load_suite`. The way of a row: every contestant answers its prompt (`Asked`), the
answers are read strictly, and what the kind judges by is asked of judges. Figures come later.
"""

from models.suites.asked import Asked
from models.suites.loading import load_suite, shipped_suites
from models.suites.schema import Contestant, Evaluation, Suite, SuiteKind

__all__ = [
    "Asked",
    "Contestant",
    "Evaluation",
    "Suite",
    "SuiteKind",
    "load_suite",
    "shipped_suites",
]
