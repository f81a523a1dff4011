"""The runs behind commands, step by step: submit, watch, conduct, and how they end."""
