-- Version 13. Places under limits that ended attempts still hold, since their threads go on: the node of `epoch` lets
-- them go, or dies. `limits` is that of the run.
CREATE TABLE kept_limit(
    run_id TEXT NOT NULL,
    fence INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    limits TEXT NOT NULL,
    PRIMARY KEY (run_id, fence)
) WITHOUT ROWID;
