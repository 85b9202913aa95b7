-- name: kept
SELECT count FROM tally WHERE job_id = ? AND state = ?

-- name: oldest
SELECT run_id, EXISTS (SELECT 1 FROM idempotency AS named WHERE named.run_id = history.run_id AND expires_at > :now)
FROM history
WHERE job_id = :job_id AND state = :state AND finished_at < :before AND run_id > :after AND run_id < :until
ORDER BY run_id LIMIT :most

-- name: delete_runs
DELETE FROM history WHERE run_id IN (SELECT value FROM json_each(?))

-- name: delete_events
DELETE FROM event WHERE run_id IN (SELECT value FROM json_each(?))
