"""The only SQL: modules hold the moves of one table, or what one reader sees of several.

`engine` opens the database.
"""
