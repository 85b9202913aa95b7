-- Version 5. Configs: a run keeps the version that it first started with. `config_as_of` is the instant whose
-- version that is; without it that start. The triggers tell the nodes what any program changes with its own SQL.
ALTER TABLE run ADD COLUMN config_version INTEGER;
ALTER TABLE run ADD COLUMN config_as_of INTEGER;
ALTER TABLE history ADD COLUMN config_version INTEGER;
ALTER TABLE backfill ADD COLUMN config_at TEXT NOT NULL DEFAULT 'now';
ALTER TABLE config ADD COLUMN rollback_of INTEGER;

CREATE TRIGGER config_inserted AFTER INSERT ON config BEGIN
    UPDATE meta SET value = value + 1 WHERE key = 'version';
END;

CREATE TRIGGER config_updated AFTER UPDATE ON config BEGIN
    UPDATE meta SET value = value + 1 WHERE key = 'version';
END;

CREATE TRIGGER config_deleted AFTER DELETE ON config BEGIN
    UPDATE meta SET value = value + 1 WHERE key = 'version';
END;
