"""Reviews by people: blinded pairs made of two models' answers, sheets, and the result."""

from producers.reviewing.reviewing import Imported, Reviewing, make

__all__ = ["Imported", "Reviewing", "make"]
