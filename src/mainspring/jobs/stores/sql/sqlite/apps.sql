-- name: known
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'store_app'
-- name: owner
SELECT label FROM store_app
-- name: adopt
INSERT INTO store_app(one, label) VALUES (1, ?1)
ON CONFLICT(one) DO UPDATE SET label = excluded.label WHERE label IN (SELECT value FROM json_each(?2))
