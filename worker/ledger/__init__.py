"""The ledger: what was paid is written down before anything else, and never paid for again."""
