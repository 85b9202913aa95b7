-- Version 16. What a job was last registered with: `run_limits` (JSON; NULL when its code does not say) and `run_rank` are
-- given to its runs of occurrences. Those that lived then follow in parts: `run_behind` is the occurrence up to which
-- they have, NULL when all have.
ALTER TABLE job ADD COLUMN run_limits TEXT;
ALTER TABLE job ADD COLUMN run_rank INTEGER;
ALTER TABLE job ADD COLUMN run_behind TEXT;

CREATE INDEX job_behind ON job(job_id) WHERE run_behind IS NOT NULL;
