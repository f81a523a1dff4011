"""One module per kind of job; each runs one row and answers with a value."""
