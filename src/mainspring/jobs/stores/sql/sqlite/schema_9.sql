-- Version 9. What ran in a backfill is forgotten when nothing waits for it any more; before, it stayed for ever.
DELETE FROM done WHERE job_id LIKE 'backfill %' AND substr(job_id, 10) IN (
    SELECT backfill_id FROM backfill AS one WHERE NOT EXISTS (
        SELECT 1 FROM backfill AS later, json_each(later.after) AS before
        WHERE later.state IN ('running', 'paused') AND before.value = one.backfill_id));
