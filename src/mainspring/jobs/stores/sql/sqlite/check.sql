-- name: integrity
SELECT integrity_check FROM pragma_integrity_check(20) WHERE integrity_check <> 'ok'

-- name: live_and_ended
SELECT 'run ' || run_id || ' is live and ended at the same time' FROM run JOIN history USING (run_id) LIMIT 20

-- name: counted_runs
WITH found(job_id, state, count) AS (
    SELECT job_id, state, count(*) FROM history GROUP BY job_id, state
    UNION ALL SELECT job_id, 'live', count(*) FROM run GROUP BY job_id)
SELECT printf('job %s has %d runs that %s, and %d are counted', job_id, coalesce(found.count, 0),
    iif(state = 'live', 'have not ended', 'ended as ' || state), coalesce(tally.count, 0))
FROM (SELECT job_id, state FROM found UNION SELECT job_id, state FROM tally)
LEFT JOIN found USING (job_id, state) LEFT JOIN tally USING (job_id, state)
WHERE coalesce(found.count, 0) <> coalesce(tally.count, 0) LIMIT 20

-- name: held_slots
WITH wanted(key, held) AS (
    SELECT json_extract(one.value, '$[0]'), count(*) FROM (
        SELECT limits FROM run WHERE state = 'running' UNION ALL SELECT limits FROM kept_limit) AS holder,
        json_each(holder.limits) AS one
    GROUP BY 1)
SELECT printf('%d runs hold the limit %s, and %d are counted',
    coalesce(wanted.held, 0), key, coalesce(counter.held, 0))
FROM (SELECT key FROM wanted UNION SELECT key FROM counter)
LEFT JOIN wanted USING (key) LEFT JOIN counter USING (key)
WHERE coalesce(wanted.held, 0) <> coalesce(counter.held, 0) LIMIT 20

-- name: kept_slots
SELECT printf('run %s keeps its places under limits for epoch %d, which has ended', run_id, epoch) FROM kept_limit
WHERE epoch NOT IN (SELECT epoch FROM epoch WHERE alive = 1) LIMIT 20

-- name: done_ranges
SELECT printf('the done-set of job %s has ranges that overlap or are empty at %s',
    job_id, strftime('%Y-%m-%dT%H:%M:%SZ', start / 1000000, 'unixepoch'))
FROM (SELECT job_id, start, "end", lag("end") OVER (PARTITION BY job_id ORDER BY start) AS before FROM done)
WHERE "end" <= start OR before > start LIMIT 20

-- name: backfills
WITH found(backfill_id, count) AS (
    SELECT backfill_id, count(*) FROM (
        SELECT backfill_id FROM run WHERE backfill_id IS NOT NULL
        UNION ALL SELECT joined.backfill_id FROM joined JOIN run USING (run_id))
    GROUP BY backfill_id)
SELECT printf('backfill %s has %d live runs, and %d are counted', backfill_id, coalesce(found.count, 0), live_count)
FROM backfill LEFT JOIN found USING (backfill_id)
WHERE coalesce(found.count, 0) <> live_count LIMIT 20

-- name: configs
SELECT printf('version %d of the config of job %s is no JSON object', version, job_id) FROM config
WHERE NOT json_valid(CAST(value AS TEXT)) OR json_type(CAST(value AS TEXT)) <> 'object' LIMIT 20

-- name: held_runs
SELECT printf('run %s is running, and nobody ever held it', run_id) FROM run
WHERE state = 'running' AND (fence = 0 OR started_at IS NULL) LIMIT 20
