-- name: job
UPDATE job SET job_id = ?2 WHERE job_id = ?1

-- name: run
UPDATE run SET job_id = ?2 WHERE job_id = ?1

-- name: history
UPDATE history SET job_id = ?2 WHERE job_id = ?1

-- name: tally
UPDATE tally SET job_id = ?2 WHERE job_id = ?1

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
