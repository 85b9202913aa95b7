-- name: epoch_alive
SELECT 1 FROM epoch WHERE epoch = ? AND alive = 1

-- name: next_fence
UPDATE meta SET value = value + 1 WHERE key = 'fence' RETURNING value

-- name: known_runs
SELECT run_id FROM run WHERE run_id IN (SELECT value FROM json_each(?1))
UNION ALL SELECT run_id FROM history WHERE run_id IN (SELECT value FROM json_each(?1))

-- name: paused_jobs
SELECT job_id FROM job WHERE paused = 1

-- name: insert_run
INSERT INTO run(
    run_id, job_id, kind, state, queue, rank, generation, attempt, fence, epoch, created_at, available_at,
    scheduled_at, interval_start, interval_end, started_at, config, backfill_id, previous_run, parent_run,
    config_version, config_as_of, occurrence, limits, skips, place
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_alike
INSERT INTO run(
    run_id, job_id, kind, state, queue, rank, generation, attempt, fence, epoch, created_at, available_at,
    scheduled_at, started_at, config_version, place
) SELECT key, ?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, atom, iif(?10, atom, NULL), ?11, ?12, ?13 FROM json_each(?14)

-- name: insert_fires
INSERT INTO run(
    run_id, job_id, kind, state, queue, rank, generation, attempt, fence, created_at, available_at, scheduled_at,
    interval_start, interval_end, config_version, occurrence, limits, skips, place
) SELECT
    key, json_extract(value, '$[0]'), 'schedule', ?1, ?2, ?3, ?4, 0, 0, ?5, ?6, ?7,
    ?8, ?9, ?10, ?11, json_extract(value, '$[1]'), ?12, ?13
FROM json_each(?14)

-- name: known_occurrences
SELECT job_id, occurrence FROM json_each(?1) AS pair CROSS JOIN run
ON job_id = json_extract(pair.value, '$[0]') AND occurrence = json_extract(pair.value, '$[1]')
UNION ALL SELECT job_id, occurrence FROM json_each(?1) AS pair CROSS JOIN history
ON job_id = json_extract(pair.value, '$[0]') AND occurrence = json_extract(pair.value, '$[1]')

-- name: live_of_occurrence
SELECT {live} FROM run WHERE job_id = ? AND occurrence = ?

-- name: latest_of_occurrence
SELECT run_id, generation FROM history WHERE job_id = ? AND occurrence = ? ORDER BY generation DESC LIMIT 1

-- name: ended_generation
SELECT {ended} FROM history WHERE job_id = ? AND occurrence = ? AND generation = ?

-- name: raise_priority
UPDATE run SET rank = min(rank, ?), backfill_id = coalesce(backfill_id, ?) WHERE run_id = ?

-- name: take_over
UPDATE run SET kind = 'schedule', config_as_of = NULL, limits = iif(state = 'running', limits, :limits), parked = NULL,
    place = CASE WHEN state NOT IN ('available', 'scheduled', 'retrying')
        OR job_id IN (SELECT job_id FROM job WHERE paused = 1) THEN 0 WHEN available_at <= :now THEN 1 ELSE 2 END
WHERE run_id = :run_id

-- name: ready_before
SELECT 1 FROM run WHERE place = 1 AND queue = ? AND rank <= 0 LIMIT 1

-- name: idempotency
SELECT run_id, arguments_hash FROM idempotency WHERE key = ? AND expires_at > ?

-- name: remember_key
INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?)

-- name: forget_keys
DELETE FROM idempotency WHERE expires_at <= ?

-- name: earliest_timed
SELECT min(available_at) FROM run WHERE place = 2

-- name: promote
UPDATE run SET place = 1, state = iif(state = 'scheduled', 'available', state)
WHERE run_id IN (SELECT run_id FROM run WHERE place = 2 AND available_at <= ? ORDER BY available_at LIMIT ?)

-- name: ready_rank
SELECT rank FROM run WHERE place = 1 AND queue = ? AND rank > ? ORDER BY rank LIMIT 1

-- name: ready_jobs
WITH RECURSIVE head(job_id) AS (
    SELECT (SELECT job_id FROM run WHERE place = 1 AND queue = ?1 AND rank = ?2 AND job_id > ?3{part}
            ORDER BY job_id LIMIT 1)
    UNION ALL
    SELECT (SELECT job_id FROM run WHERE place = 1 AND queue = ?1 AND rank = ?2 AND job_id > head.job_id{part}
            ORDER BY job_id LIMIT 1)
    FROM head WHERE head.job_id IS NOT NULL
)
SELECT job_id FROM head WHERE job_id IS NOT NULL LIMIT ?4

-- name: ready_heads
SELECT {live}, limits, config_as_of, skips FROM json_each(?1) AS job CROSS JOIN run ON run_id IN (
    SELECT run_id FROM run AS head WHERE place = 1 AND queue = ?2 AND rank = ?3 AND job_id = job.value{part}
    ORDER BY available_at, run_id LIMIT ?4)

-- name: mark_claimed
UPDATE run SET state = 'running', place = 0, epoch = ?, fence = ?, attempt = attempt + 1, started_at = ?
WHERE run_id IN (SELECT value FROM json_each(?))

-- name: counters
SELECT key, held FROM counter WHERE key IN (SELECT value FROM json_each(?))

-- name: raise_counters
INSERT INTO counter SELECT key, value FROM json_each(?) WHERE true
ON CONFLICT (key) DO UPDATE SET held = held + excluded.held

-- name: drop_counters
DELETE FROM counter WHERE held <= ?1 AND key IN (SELECT value FROM json_each(?2))

-- name: lower_counters
UPDATE counter SET held = held - ?1 WHERE key IN (SELECT value FROM json_each(?2))

-- name: keep_limits
INSERT INTO kept_limit VALUES (?, ?, ?, ?)

-- name: let_go
DELETE FROM kept_limit WHERE run_id = ? AND fence = ? RETURNING limits

-- name: let_go_of_dead
DELETE FROM kept_limit WHERE epoch NOT IN (SELECT epoch FROM epoch WHERE alive = 1) RETURNING limits

-- name: park
UPDATE run SET place = 0, parked = ? WHERE run_id = ?

-- name: parked_keys
SELECT DISTINCT parked FROM run WHERE parked IN (SELECT value FROM json_each(?))

-- name: parked_jobs
SELECT DISTINCT job_id FROM run WHERE parked = ?

-- name: unpark
UPDATE run SET parked = NULL, place = {claimable} WHERE run_id IN (
    SELECT run_id FROM run WHERE parked = :key AND job_id = :job ORDER BY rank, available_at LIMIT :count)

-- name: live_runs
SELECT {live}, limits FROM run WHERE run_id IN (SELECT value FROM json_each(?))

-- name: ended_run
SELECT {ended} FROM history WHERE run_id = ?

-- name: count_unchanged
SELECT count(*) FROM json_each(?1) AS ended CROSS JOIN run ON run_id = ended.key
WHERE job_id = ?2 AND epoch = ?3 AND fence = ?4 AND attempt = ?5 AND state = 'running' AND NOT cancel_requested
    AND limits IS NULL AND EXISTS (SELECT 1 FROM epoch WHERE epoch = ?3 AND alive = 1)

-- name: move_to_history
INSERT INTO history(
    run_id, job_id, kind, state, queue, rank, generation, attempt, rescues, fence, epoch, created_at, available_at,
    scheduled_at, interval_start, interval_end, started_at, config, backfill_id, previous_run, parent_run,
    blocked_by, cancel_requested, error_type, error_message, error_detail, occurrence, finished_at, value, item_count,
    config_version
) SELECT
    run_id, job_id, kind, ?2, queue, rank, generation, ?3, ?4, fence, epoch, created_at, available_at,
    scheduled_at, interval_start, interval_end, started_at, config, backfill_id, previous_run, parent_run,
    blocked_by, cancel_requested, ?5, ?6, ?7, occurrence, ?8, ?9, ?10,
    config_version
FROM run WHERE run_id = ?1

-- name: move_alike
INSERT INTO history(
    run_id, job_id, kind, state, queue, rank, generation, attempt, rescues, fence, epoch, created_at, available_at,
    scheduled_at, interval_start, interval_end, started_at, config, backfill_id, previous_run, parent_run,
    blocked_by, cancel_requested, occurrence, finished_at, item_count, config_version
) SELECT
    run_id, job_id, kind, ?1, queue, rank, generation, attempt, rescues, fence, epoch, created_at, available_at,
    scheduled_at, interval_start, interval_end, started_at, config, backfill_id, previous_run, parent_run,
    blocked_by, cancel_requested, occurrence, ended.atom, 0, config_version
FROM json_each(?2) AS ended CROSS JOIN run ON run_id = ended.key

-- name: delete_live
DELETE FROM run WHERE run_id IN (SELECT value FROM json_each(?))

-- name: delete_ended
DELETE FROM run WHERE run_id IN (SELECT key FROM json_each(?))

-- name: add_tally
INSERT INTO tally SELECT key, ?1, value FROM json_each(?2) WHERE true
ON CONFLICT (job_id, state) DO UPDATE SET count = count + excluded.count

-- name: release
UPDATE run SET state = :state, attempt = :attempt, rescues = :rescues, available_at = :available_at,
    place = {claimable_at}, error_type = :error_type, error_message = :error_message,
    error_detail = :error_detail, limits = iif(occurrence IS NULL OR kind NOT IN ('schedule', 'manual'), limits,
    nullif(coalesce((SELECT run_limits FROM job WHERE job.job_id = run.job_id), limits), '[]'))
WHERE run_id = :run_id

-- name: clear_epoch
UPDATE run SET epoch = NULL WHERE run_id IN (SELECT value FROM json_each(?))

-- name: any_stage
SELECT 1 FROM stage LIMIT 1

-- name: drop_stage
DELETE FROM stage WHERE run_id IN (SELECT value FROM json_each(?))

-- name: add_stage
INSERT OR REPLACE INTO stage SELECT ?1, ?2, ?3, ?4, ?5
WHERE EXISTS (SELECT 1 FROM run WHERE run_id = ?1 AND fence = ?2 AND state = 'running')

-- name: request_cancel
UPDATE run SET cancel_requested = 1 WHERE run_id = ?
