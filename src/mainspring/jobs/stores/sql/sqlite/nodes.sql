-- name: insert_epoch
INSERT INTO epoch(name, boot_id, lock_file, alive, expires_at, started_at, jobs, queues) VALUES (?, ?, ?, 1, ?, ?, ?, ?)

-- name: living
SELECT epoch, name, boot_id, lock_file, expires_at FROM epoch WHERE alive = 1 ORDER BY epoch

-- name: lease
SELECT expires_at FROM epoch WHERE epoch = ? AND alive = 1

-- name: renew
UPDATE epoch SET expires_at = ? WHERE epoch = ? AND alive = 1

-- name: kill
UPDATE epoch SET alive = 0, ended_at = ? WHERE epoch = ? AND alive = 1

-- name: forget_epochs
DELETE FROM epoch WHERE alive = 0 AND ended_at < ?

-- name: cancel_requests
SELECT run_id FROM run WHERE epoch = ? AND cancel_requested = 1

-- name: orphans
SELECT {live}, limits FROM run INDEXED BY run_held WHERE state = 'running'
AND epoch NOT IN (SELECT epoch FROM epoch WHERE alive = 1)

-- name: version
SELECT value FROM meta WHERE key = 'version'

-- name: bump_version
UPDATE meta SET value = value + 1 WHERE key = 'version'
