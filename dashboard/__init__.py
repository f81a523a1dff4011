"""What shows: Flower with readable shards today, the Jobs tab next."""
