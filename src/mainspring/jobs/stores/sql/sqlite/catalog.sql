-- name: job
SELECT {job} FROM job WHERE job_id = ?

-- name: jobs_of
SELECT {job} FROM job WHERE job_id IN (SELECT value FROM json_each(?))

-- name: insert_job
INSERT INTO job(job_id, schedule, version, cursor, next_fire_at, registered_at) VALUES (?, ?, 1, ?, ?, ?)

-- name: change_schedule
UPDATE job SET schedule = ?, version = version + ?, cursor = coalesce(cursor, ?),
    next_fire_at = iif(?, next_fire_at, NULL) WHERE job_id = ?

-- name: set_cursors
UPDATE job SET cursor = ?, next_fire_at = ? WHERE job_id IN (SELECT value FROM json_each(?))

-- name: set_paused
UPDATE job SET paused = ? WHERE job_id = ?

-- name: skip_record
INSERT INTO history(
    run_id, job_id, kind, state, queue, rank, generation, attempt, rescues, fence, created_at, available_at,
    interval_start, interval_end, cancel_requested, finished_at, item_count
) VALUES (?1, ?2, 'schedule', 'skipped', 'default', 0, 1, 0, 0, 0, ?3, ?3, ?4, ?5, 0, ?3, 0)

-- name: done_touching
SELECT start, "end", state FROM done WHERE job_id = ?1
AND start >= coalesce((SELECT max(start) FROM done WHERE job_id = ?1 AND start < ?2), ?2) AND start <= ?3
ORDER BY start

-- name: has_succeeded
SELECT 1 FROM (SELECT "end", state FROM done WHERE job_id = ?1 AND start <= ?2 ORDER BY start DESC LIMIT 1)
WHERE "end" >= ?3 AND state = 'succeeded'

-- name: done_of
SELECT start, "end", state FROM done WHERE job_id = ?

-- name: delete_done
DELETE FROM done WHERE job_id = ? AND start = ?

-- name: forget_done
DELETE FROM done WHERE job_id = ?

-- name: extend_done
UPDATE done SET "end" = :end FROM json_each(:jobs) AS job
WHERE job_id = job.value AND "end" = :start AND state = :state
AND start = (SELECT max(start) FROM done AS last WHERE last.job_id = job.value AND last.start <= :end)
RETURNING job_id

-- name: insert_done
INSERT INTO done(job_id, start, "end", state) VALUES (?, ?, ?, ?)

-- name: release_waiting
UPDATE run SET state = 'available', blocked_by = NULL, available_at = max(available_at, :now),
    place = iif(parked IS NULL, {claimable}, 0)
WHERE run_id = :run_id AND state = 'waiting'

-- name: note_blocked
UPDATE run SET blocked_by = ? WHERE run_id = ? AND state = 'waiting'

-- name: insert_backfill
INSERT OR IGNORE INTO backfill({backfill})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: backfill
SELECT {backfill} FROM backfill WHERE backfill_id = ?

-- name: move_backfill
UPDATE backfill SET cursor = ?, planned = max(planned, ?), created_count = created_count + ?,
    live_count = live_count + ?
WHERE backfill_id = ?

-- name: count_backfill
UPDATE backfill SET live_count = live_count - ?, succeeded_count = succeeded_count + ?,
    failed_count = failed_count + ?, cancelled_count = cancelled_count + ?
WHERE backfill_id = ?

-- name: set_backfill_state
UPDATE backfill SET state = ?, finished_at = ? WHERE backfill_id = ?

-- name: paused_backfills
SELECT backfill_id FROM backfill WHERE backfill_id IN (SELECT value FROM json_each(?)) AND state = 'paused'

-- name: idle_runs_of_backfill
SELECT {live}, limits FROM run WHERE backfill_id = ? AND state <> 'running'

-- name: cancel_running_of_backfill
UPDATE run SET cancel_requested = 1 WHERE backfill_id = ? AND state = 'running'

-- name: open_after_backfill
SELECT backfill_id FROM backfill WHERE state IN ('running', 'paused')
AND EXISTS (SELECT 1 FROM json_each(backfill.after) WHERE value = ?)

-- name: join_backfill
INSERT OR IGNORE INTO joined VALUES (?, ?)

-- name: any_joined
SELECT 1 FROM joined LIMIT 1

-- name: joined_by
SELECT run_id, backfill_id FROM joined WHERE run_id IN (SELECT value FROM json_each(?))

-- name: drop_joined
DELETE FROM joined WHERE run_id IN (SELECT value FROM json_each(?))

-- name: leave_joined
DELETE FROM joined WHERE backfill_id = ?

-- name: leave_to_schedule
UPDATE run SET backfill_id = NULL WHERE backfill_id = ?1 AND kind <> 'backfill'
AND run_id NOT IN (SELECT run_id FROM joined)

-- name: leave_to_joined
UPDATE run SET backfill_id = (SELECT min(backfill_id) FROM joined WHERE joined.run_id = run.run_id)
WHERE backfill_id = ?1 AND run_id IN (SELECT run_id FROM joined)

-- name: forget_heirs
DELETE FROM joined WHERE (run_id, backfill_id) IN (
    SELECT joined.run_id, joined.backfill_id FROM joined JOIN run USING (run_id, backfill_id))
