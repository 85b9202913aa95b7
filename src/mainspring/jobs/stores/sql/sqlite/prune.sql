-- name: old
SELECT run_id FROM history WHERE job_id = ? AND state = ? AND finished_at < ? AND run_id < ? ORDER BY run_id LIMIT ?

-- name: kept
SELECT count FROM tally WHERE job_id = ? AND state = ?

-- name: oldest
SELECT run_id FROM history WHERE job_id = ? AND state = ? AND finished_at < ? ORDER BY run_id LIMIT ?

-- name: delete_runs
DELETE FROM history WHERE run_id IN (SELECT value FROM json_each(?))

-- name: delete_events
DELETE FROM event WHERE run_id IN (SELECT value FROM json_each(?))
