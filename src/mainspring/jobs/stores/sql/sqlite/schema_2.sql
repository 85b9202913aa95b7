-- Version 2. Backfills that count a run beside the one in `run.backfill_id`: it was live when they came to it.
CREATE TABLE joined(
    run_id TEXT NOT NULL,
    backfill_id TEXT NOT NULL,
    PRIMARY KEY (run_id, backfill_id)
) WITHOUT ROWID;

CREATE INDEX joined_backfill ON joined(backfill_id);
