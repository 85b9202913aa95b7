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
