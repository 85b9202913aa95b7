-- Version 11. Leases by name, each held by one node at most: it counts as long as that node's epoch lives.
CREATE TABLE named_lease(
    lease TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    taken_at INTEGER NOT NULL
) WITHOUT ROWID;
