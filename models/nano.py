"""How money is counted: in whole nano-USD. Stands alone, so that wording a sum loads no table."""

NANO = 1_000_000_000
"""Nano-USD in a dollar."""
