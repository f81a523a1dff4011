"""What answers say: prose, judgements, choices, filled schemas, vectors. Pure."""
