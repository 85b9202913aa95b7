-- name: held
SELECT lease, holder, epoch, name, fence, taken_at FROM named_lease JOIN epoch USING (epoch) WHERE alive = 1 ORDER BY lease

-- name: of_name
SELECT lease, holder, epoch, name, fence, taken_at FROM named_lease JOIN epoch USING (epoch)
WHERE lease = ? AND alive = 1

-- name: take
INSERT OR REPLACE INTO named_lease VALUES (?, ?, ?, ?, ?)

-- name: drop
DELETE FROM named_lease WHERE lease = ? AND holder = ?
