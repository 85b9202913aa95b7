-- Version 10. How many runs of a job have not ended is counted beside those that have, under the state 'live'; those in
-- states that few of them are in have an index. So a list of jobs does not walk over all runs that wait.
INSERT INTO tally SELECT job_id, 'live', count(*) FROM run GROUP BY job_id;

CREATE INDEX run_unusual ON run(job_id, state) WHERE state IN ('scheduled', 'waiting', 'retrying');
