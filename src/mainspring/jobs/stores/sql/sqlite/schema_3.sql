-- Version 3. What the attempts of runs logged; `fence` tells apart claims that were handed back. It goes with its run.
CREATE TABLE run_log(
    run_id TEXT NOT NULL,
    fence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    log BLOB NOT NULL,
    PRIMARY KEY (run_id, fence)
);

CREATE TRIGGER run_log_goes AFTER DELETE ON history BEGIN
    DELETE FROM run_log WHERE run_id = old.run_id;
END;
