-- name: register_limits
UPDATE job SET run_limits = job_limits, run_rank = job_rank, run_behind = iif(job_limits IS NOT NULL AND EXISTS (
    SELECT 1 FROM run INDEXED BY run_occurrence WHERE run.job_id = said.key AND occurrence IS NOT NULL), '', NULL)
FROM (SELECT key, json_extract(value, '$[0]') AS job_rank, json_extract(value, '$[1]') AS job_limits
    FROM json_each(?)) AS said
WHERE job_id = said.key AND (run_limits IS NOT job_limits OR run_rank IS NOT job_rank)

-- name: registered
SELECT job_id, run_limits, run_rank FROM job
WHERE job_id IN (SELECT value FROM json_each(?)) AND run_limits IS NOT NULL

-- name: behind
SELECT job_id, run_behind, run_rank, nullif(run_limits, '[]') FROM job WHERE run_behind IS NOT NULL LIMIT 1

-- name: part
SELECT count(*), max(occurrence) FROM (SELECT occurrence FROM run INDEXED BY run_occurrence
    WHERE job_id = ? AND occurrence > ? ORDER BY occurrence LIMIT ?)

-- name: renew
UPDATE run INDEXED BY run_occurrence SET rank = :rank, limits = iif(state = 'running', limits, :limits),
    place = iif(parked IS NULL, place, {claimable}), parked = NULL
WHERE job_id = :job AND occurrence > :after AND occurrence <= :upto AND kind IN ('schedule', 'manual')
AND (rank <> :rank OR limits IS NOT :limits)

-- name: reach
UPDATE job SET run_behind = ? WHERE job_id = ?

-- name: rename_runs
UPDATE run SET limits = replace(limits, :before, :after) WHERE instr(limits, :before)

-- name: rename_kept
UPDATE kept_limit SET limits = replace(limits, :before, :after) WHERE instr(limits, :before)

-- name: rename_parked
UPDATE run SET parked = :new WHERE parked = :old

-- name: rename_counter
INSERT INTO counter SELECT :new, held FROM counter WHERE key = :old
ON CONFLICT (key) DO UPDATE SET held = held + excluded.held

-- name: rename_drop
DELETE FROM counter WHERE key = :old
