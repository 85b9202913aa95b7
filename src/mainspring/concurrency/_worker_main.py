"""What runs in a worker process; the fork server imports it once, so that workers start in milliseconds."""
