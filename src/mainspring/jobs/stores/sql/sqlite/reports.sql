-- name: log
INSERT OR REPLACE INTO run_log SELECT ?1, ?2, ?3, ?4
WHERE EXISTS (SELECT 1 FROM run WHERE run_id = ?1 AND fence = ?2 AND state = 'running')

-- name: progress
INSERT OR REPLACE INTO run_progress SELECT ?1, ?2, ?3, ?4, ?5
WHERE EXISTS (SELECT 1 FROM run WHERE run_id = ?1 AND fence = ?2 AND state = 'running')

-- name: last_progress
INSERT OR REPLACE INTO run_progress VALUES (?, ?, ?, ?, ?)

-- name: progress_of
SELECT run_id, fence, done, total, at FROM run_progress WHERE run_id IN (SELECT value FROM json_each(?))
