"""Datasets: made of files and jobs, split, counted, checked; the door for training."""

from producers.datasets.dataset import Dataset, open_dataset

__all__ = ["Dataset", "open_dataset"]
