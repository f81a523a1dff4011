"""Work that others do for us (hosted batches and trainings): sent once, looked at, brought home."""
