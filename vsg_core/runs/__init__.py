"""Runs larger than one process: keys of records, shards of claims, and the executors that run them."""
