"""What runs: the Celery app, the shard runner, kinds, gateway, limiter, ledger, clock."""
