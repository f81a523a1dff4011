"""What exists: tables, payloads, lifecycles, recipes, settings, and (in `store`) the only SQL."""
