"""What stands in for the Mistral API offline: same shapes, limits, errors and faults."""
