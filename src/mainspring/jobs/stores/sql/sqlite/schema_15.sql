-- Version 15. Which key names a run: the record stays as long as its key.
CREATE INDEX idempotency_run ON idempotency(run_id);
