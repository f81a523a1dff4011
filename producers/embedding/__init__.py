"""Embedding jobs: rows' texts become vectors, and vectors a store that evaluations search."""

from producers.embedding.embedding import Embeddings, Wish

__all__ = ["Embeddings", "Wish"]
