-- Version 4. Backfills that come after others (`after`: a JSON list of ids), and runs that are skipped at a full limit.
ALTER TABLE backfill ADD COLUMN downstream INTEGER NOT NULL DEFAULT 0;
ALTER TABLE backfill ADD COLUMN after TEXT NOT NULL DEFAULT '[]';
ALTER TABLE run ADD COLUMN skips INTEGER NOT NULL DEFAULT 0;
