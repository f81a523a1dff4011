"""What pages and commands look at, across tables. Nothing here writes."""
