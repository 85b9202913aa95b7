-- name: add
INSERT INTO event(happened_at, kind, job_id, run_id, detail) VALUES (?, ?, ?, ?, ?)

-- name: drop_oldest
DELETE FROM event WHERE run_id = ?1
AND event_id NOT IN (SELECT event_id FROM event WHERE run_id = ?1 ORDER BY event_id DESC LIMIT ?2)

-- name: of_run
SELECT happened_at, kind, job_id, run_id, detail FROM event WHERE run_id = ? ORDER BY event_id

-- name: late
SELECT {live} FROM run WHERE job_id = :job_id AND occurrence IS NOT NULL AND kind = 'schedule'
AND scheduled_at <= :before
AND NOT EXISTS (SELECT 1 FROM event WHERE event.run_id = run.run_id AND event.kind = 'late')
LIMIT 1000

-- name: ended_late
SELECT {ended} FROM history WHERE run_id IN (SELECT value FROM json_each(:ids))
AND NOT EXISTS (SELECT 1 FROM event WHERE event.run_id = history.run_id AND event.kind = 'late')

-- name: stranded
SELECT {live} FROM run WHERE run_id IN (SELECT value FROM json_each(:ids))
AND NOT EXISTS (SELECT 1 FROM event WHERE event.run_id = run.run_id AND event.kind = 'stranded')
