"""The largest numbers a job may be given: plain figures, for options and specs alike."""

MOST_STEPS = 10_000_000
MOST_BATCH = 65_536
"""Rows per step."""
MOST_SEQ_LEN = 1_048_576
"""Tokens per row; no model reads more."""
MOST_RANK = 512
MOST_SEED = 2**32 - 1
"""NumPy, which every trainer seeds, takes no larger one, and none below 0."""
MOST_BATCH_HOURS = 168
"""That a hosted batch may take, as the provider documents it."""
MOST_COUNT = 2**31 - 1
"""Of anything else that is counted: no database's integer is larger."""
