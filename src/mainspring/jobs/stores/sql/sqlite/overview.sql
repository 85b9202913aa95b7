-- name: nodes
SELECT epoch, name, alive, started_at, ended_at,
    (SELECT count(*) FROM run INDEXED BY run_held WHERE state = 'running' AND run.epoch = epoch.epoch)
FROM epoch WHERE epoch < ? ORDER BY epoch DESC LIMIT ?

-- name: next_head
SELECT queue, rank, job_id, available_at, run_id FROM run INDEXED BY run_ready
WHERE place = 1 AND (queue, rank, job_id) > (?, ?, ?)
ORDER BY queue, rank, job_id, available_at, run_id LIMIT 1

-- name: overdue
SELECT queue, min(available_at) FROM run INDEXED BY run_timed WHERE place = 2 AND available_at <= ? GROUP BY queue

-- name: queued
SELECT job_id, queue, count(*) FROM (
    SELECT job_id, queue FROM run INDEXED BY run_ready WHERE place = 1
    UNION ALL SELECT job_id, queue FROM run INDEXED BY run_parked WHERE parked IS NOT NULL)
GROUP BY job_id, queue ORDER BY job_id, queue

-- name: job_ids
SELECT job_id FROM job ORDER BY job_id

-- name: done_from_start
SELECT start, "end", state FROM done WHERE job_id = ? ORDER BY start

-- name: takers
SELECT jobs, queues FROM epoch WHERE alive = 1
