"""The reference below `docs/reference`, made from the code (not shipped): `python -m reference`.

One page per thing that users write or read: commands, settings, recipes, suites, pipelines, events,
states, metrics. What a page says of one of them stands beside it in the code, and nowhere else.
"""
