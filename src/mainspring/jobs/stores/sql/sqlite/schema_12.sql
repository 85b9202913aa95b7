-- Version 12. Which jobs a node knows and of which queues it takes runs, as JSON lists; NULL of one that does not say.
ALTER TABLE epoch ADD COLUMN jobs TEXT;
ALTER TABLE epoch ADD COLUMN queues TEXT;
