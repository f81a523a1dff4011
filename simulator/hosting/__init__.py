"""What the provider keeps and works on: files, batches, fine-tuning jobs."""
