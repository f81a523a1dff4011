"""Local models as an API like any other: existing engines behind a thin front."""
