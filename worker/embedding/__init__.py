"""Vectors of texts, asked for by rows of any kind."""
