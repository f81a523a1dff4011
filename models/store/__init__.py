"""The only SQL. Each module holds the statements of one table; `engine` opens the database."""
