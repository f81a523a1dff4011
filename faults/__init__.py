"""The fault campaign: real processes are hurt on purpose; what was seen from outside is checked.

`python -m faults` (or `make faults`). `scenarios/` hurt, `history.py` remembers, `checker.py`
judges.
"""
