-- name: add
INSERT OR REPLACE INTO run_log VALUES (?, ?, ?, ?)

-- name: drop_oldest
DELETE FROM run_log WHERE run_id = ?1
AND fence NOT IN (SELECT fence FROM run_log WHERE run_id = ?1 ORDER BY fence DESC LIMIT ?2)

-- name: of_run
SELECT run_id, fence, attempt, log FROM run_log WHERE run_id = ? ORDER BY fence
