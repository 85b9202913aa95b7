-- name: live_by_prefix
SELECT {live} FROM run WHERE run_id >= ? AND run_id < ? LIMIT 2

-- name: ended_by_prefix
SELECT {ended} FROM history WHERE run_id >= ? AND run_id < ? LIMIT 2

-- name: live_page
SELECT {live} FROM run WHERE {where} ORDER BY run_id DESC LIMIT :limit

-- name: running_page
SELECT {live} FROM run INDEXED BY run_held WHERE {where} ORDER BY run_id DESC LIMIT :limit

-- name: ended_page
SELECT {ended} FROM history WHERE {where} ORDER BY run_id DESC LIMIT :limit

-- name: ended
SELECT {ended} FROM history WHERE run_id IN (SELECT value FROM json_each(?))

-- name: jobs
SELECT {job} FROM job ORDER BY job_id

-- name: tally
SELECT job_id, state, count FROM tally WHERE count > 0

-- name: unusual_counts
SELECT job_id, state, count(*) FROM run INDEXED BY run_unusual WHERE state IN ('scheduled', 'waiting', 'retrying')
GROUP BY job_id, state

-- name: running_counts
SELECT job_id, state, count(*) FROM run INDEXED BY run_held WHERE state = 'running' GROUP BY job_id, state

-- name: done
SELECT start, "end", state FROM done WHERE job_id = ?1
AND start >= coalesce((SELECT max(start) FROM done WHERE job_id = ?1 AND start <= ?2), ?2) AND start < ?3
ORDER BY start

-- name: waiting
SELECT {live} FROM run WHERE state = 'waiting' AND (interval_start, run_id) > (?, ?)
ORDER BY interval_start, run_id

-- name: backfills
SELECT {backfill} FROM backfill WHERE {where} ORDER BY created_at DESC, backfill_id DESC LIMIT :limit
