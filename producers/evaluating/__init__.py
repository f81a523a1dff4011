"""Evaluations: models put to a suite, what came of it as figures, and the report."""

from producers.evaluating.evaluating import Evaluating, Wish

__all__ = ["Evaluating", "Wish"]
