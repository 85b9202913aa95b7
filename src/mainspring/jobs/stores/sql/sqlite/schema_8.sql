-- Version 8. How far attempts said that they have come; only what the run's latest claim said counts. It goes with its run.
CREATE TABLE run_progress(
    run_id TEXT PRIMARY KEY,
    fence INTEGER NOT NULL,
    done NUMERIC NOT NULL,
    total NUMERIC,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER run_progress_goes AFTER DELETE ON history BEGIN
    DELETE FROM run_progress WHERE run_id = old.run_id;
END;
