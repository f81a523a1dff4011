"""The recipes that come with Maestrale: one folder each, data only (`models.recipes` reads it)."""
