-- name: insert
INSERT OR IGNORE INTO config(job_id, version, value, effective_from, created_at, note, rollback_of)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: list
SELECT job_id, version, value, effective_from, created_at, note, rollback_of FROM config
WHERE job_id = ? AND version < ? ORDER BY version DESC LIMIT ?

-- name: any
SELECT 1 FROM config LIMIT 1

-- name: in_force
SELECT version FROM config WHERE job_id = ? AND effective_from <= ? ORDER BY version DESC LIMIT 1

-- name: fix
UPDATE run SET config_version = ? WHERE run_id = ?
