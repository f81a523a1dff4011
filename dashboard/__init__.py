"""What shows: Flower with readable shards, and our pages inside it."""
