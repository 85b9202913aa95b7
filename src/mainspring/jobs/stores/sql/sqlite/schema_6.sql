-- Version 6. Schedules that people put over those of the code, and what a job's schedule was before. The triggers do
-- for anybody's SQL what the store's own statements do: a paused job's runs are held, a schedule is a new version.
ALTER TABLE job ADD COLUMN override BLOB;

CREATE TABLE schedule_version(
    job_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    schedule BLOB,
    since INTEGER,
    created_at INTEGER NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (job_id, version)
) WITHOUT ROWID;

INSERT INTO schedule_version SELECT job_id, version, schedule, NULL, registered_at, 'code' FROM job;

CREATE TRIGGER job_paused AFTER UPDATE OF paused ON job WHEN new.paused <> 0 AND old.paused = 0 BEGIN
    UPDATE run SET place = 0 WHERE job_id = new.job_id AND kind = 'schedule' AND place <> 0;
    UPDATE meta SET value = value + 1 WHERE key = 'version';
END;

CREATE TRIGGER job_resumed AFTER UPDATE OF paused ON job WHEN new.paused = 0 AND old.paused <> 0 BEGIN
    UPDATE run SET place = 2 WHERE job_id = new.job_id AND kind = 'schedule' AND place = 0
    AND parked IS NULL AND state IN ('available', 'scheduled', 'retrying');
    UPDATE meta SET value = value + 1 WHERE key = 'version';
END;

CREATE TRIGGER job_steered AFTER UPDATE OF schedule, override ON job
WHEN new.version = old.version AND coalesce(new.override, new.schedule) IS NOT coalesce(old.override, old.schedule) BEGIN
    UPDATE job SET version = version + 1, next_fire_at = NULL WHERE job_id = new.job_id;
    INSERT OR REPLACE INTO schedule_version VALUES (
        new.job_id, new.version + 1, coalesce(new.override, new.schedule), new.cursor,
        CAST(strftime('%s', 'now') AS INTEGER) * 1000000, 'sql');
    UPDATE meta SET value = value + 1 WHERE key = 'version';
END;
