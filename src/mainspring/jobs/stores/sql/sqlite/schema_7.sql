-- Version 7. Runs that did not succeed are few and looked for often: found without a walk over those that did.
CREATE INDEX history_trouble ON history(state, run_id) WHERE state <> 'succeeded';
CREATE INDEX history_job_trouble ON history(state, job_id, run_id) WHERE state <> 'succeeded';
