-- name: job
UPDATE job SET job_id = ?2 WHERE job_id = ?1

-- name: run
UPDATE run SET job_id = ?2 WHERE job_id = ?1

-- name: history
UPDATE history SET job_id = ?2 WHERE job_id = ?1

-- name: tally
INSERT INTO tally SELECT ?2, state, count FROM tally WHERE job_id = ?1
ON CONFLICT (job_id, state) DO UPDATE SET count = count + excluded.count

-- name: drop_tally
DELETE FROM tally WHERE job_id = ?1 AND job_id <> ?2

-- name: done
UPDATE done SET job_id = ?2 WHERE job_id = ?1

-- name: backfill
UPDATE backfill SET job_id = ?2 WHERE job_id = ?1

-- name: config
UPDATE config SET job_id = ?2 WHERE job_id = ?1

-- name: schedule_version
UPDATE schedule_version SET job_id = ?2 WHERE job_id = ?1

-- name: event
UPDATE event SET job_id = ?2 WHERE job_id = ?1
