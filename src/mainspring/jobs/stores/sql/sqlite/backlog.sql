-- name: outdated
SELECT key FROM json_each(?) AS job WHERE EXISTS (
    SELECT 1 FROM run INDEXED BY run_occurrence
    WHERE job_id = job.key AND occurrence IS NOT NULL AND kind IN ('schedule', 'manual')
    AND (rank <> json_extract(job.value, '$[0]') OR limits IS NOT json_extract(job.value, '$[1]')))

-- name: renew
UPDATE run INDEXED BY run_occurrence SET rank = :rank, limits = :limits,
    place = iif(parked IS NULL, place, {claimable}), parked = NULL
WHERE job_id = :job AND occurrence IS NOT NULL AND kind IN ('schedule', 'manual') AND state <> 'running'
AND (rank <> :rank OR limits IS NOT :limits)

-- name: renew_running
UPDATE run INDEXED BY run_occurrence SET rank = :rank, limits = iif(
    (SELECT json_group_array(json_extract(value, '$[0]')) FROM json_each(run.limits))
    = (SELECT json_group_array(json_extract(value, '$[0]')) FROM json_each(:limits)), :limits, limits)
WHERE job_id = :job AND occurrence IS NOT NULL AND kind IN ('schedule', 'manual') AND state = 'running'
AND (rank <> :rank OR limits IS NOT :limits)

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
