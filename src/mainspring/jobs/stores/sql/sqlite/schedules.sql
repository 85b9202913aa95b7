-- name: override
UPDATE job SET override = ?, cursor = ?, version = version + 1, next_fire_at = NULL WHERE job_id = ?

-- name: remember
INSERT INTO schedule_version SELECT job_id, version, coalesce(override, schedule), cursor, ?, ? FROM job
WHERE job_id = ?

-- name: begin
UPDATE schedule_version SET since = ? WHERE job_id = ? AND version = ?

-- name: list
SELECT job_id, version, schedule, since, created_at, origin FROM schedule_version
WHERE job_id = ? AND version < ? ORDER BY version DESC LIMIT ?
