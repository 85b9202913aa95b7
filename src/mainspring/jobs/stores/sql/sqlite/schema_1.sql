-- Version 1. Instants are UTC microseconds; ids are text; `rank` is the priority with its sign turned, so that
-- every index is read in ascending order.

CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO meta VALUES ('fence', 0), ('version', 1);

-- An epoch dies once and for ever. `expires_at` is microseconds on the monotonic clock of the boot `boot_id`.
CREATE TABLE epoch(
    epoch INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    lock_file TEXT NOT NULL,
    alive INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER
);

CREATE INDEX epoch_alive ON epoch(epoch) WHERE alive = 1;

-- Runs that have not ended. `place`: 0 nobody may claim it, 1 ready, 2 ready at `available_at`.
-- `parked` is the counter key for whose slot it waits.
CREATE TABLE run(
    run_id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    queue TEXT NOT NULL,
    rank INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    rescues INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL,
    epoch INTEGER,
    created_at INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    scheduled_at INTEGER,
    interval_start INTEGER,
    interval_end INTEGER,
    started_at INTEGER,
    config BLOB,
    backfill_id TEXT,
    previous_run TEXT,
    parent_run TEXT,
    blocked_by TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    error_type TEXT,
    error_message TEXT,
    error_detail TEXT,
    occurrence TEXT,
    limits TEXT,
    place INTEGER NOT NULL,
    parked TEXT
) WITHOUT ROWID;

CREATE INDEX run_ready ON run(queue, rank, job_id, available_at, run_id) WHERE place = 1;
CREATE INDEX run_timed ON run(available_at) WHERE place = 2;
CREATE INDEX run_held ON run(epoch) WHERE state = 'running';
CREATE INDEX run_waiting ON run(interval_start) WHERE state = 'waiting';
CREATE INDEX run_parked ON run(parked, job_id, rank, available_at) WHERE parked IS NOT NULL;
CREATE UNIQUE INDEX run_occurrence ON run(job_id, occurrence) WHERE occurrence IS NOT NULL;
CREATE INDEX run_backfill ON run(backfill_id) WHERE backfill_id IS NOT NULL;
CREATE INDEX run_cancel ON run(epoch) WHERE cancel_requested = 1;

-- Runs that have ended; retention prunes it.
CREATE TABLE history(
    run_id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    queue TEXT NOT NULL,
    rank INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    rescues INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    epoch INTEGER,
    created_at INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    scheduled_at INTEGER,
    interval_start INTEGER,
    interval_end INTEGER,
    started_at INTEGER,
    config BLOB,
    backfill_id TEXT,
    previous_run TEXT,
    parent_run TEXT,
    blocked_by TEXT,
    cancel_requested INTEGER NOT NULL,
    error_type TEXT,
    error_message TEXT,
    error_detail TEXT,
    occurrence TEXT,
    finished_at INTEGER NOT NULL,
    value BLOB,
    item_count INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX history_job ON history(job_id, run_id);
CREATE UNIQUE INDEX history_occurrence ON history(job_id, occurrence, generation) WHERE occurrence IS NOT NULL;
CREATE INDEX history_backfill ON history(backfill_id, run_id) WHERE backfill_id IS NOT NULL;

-- How many ended runs of each state `history` holds.
CREATE TABLE tally(
    job_id TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (job_id, state)
) WITHOUT ROWID;

-- Slots held under a limit.
CREATE TABLE counter(
    key TEXT PRIMARY KEY,
    held INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE idempotency(
    key TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    arguments_hash BLOB,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX idempotency_expiry ON idempotency(expires_at);

-- Rows of running runs that are too many for memory.
CREATE TABLE stage(
    run_id TEXT NOT NULL,
    fence INTEGER NOT NULL,
    sink TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (run_id, fence, sink, sequence)
) WITHOUT ROWID;

CREATE TABLE job(
    job_id TEXT PRIMARY KEY,
    schedule BLOB,
    version INTEGER NOT NULL,
    cursor INTEGER,
    next_fire_at INTEGER,
    paused INTEGER NOT NULL DEFAULT 0,
    registered_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX job_paused ON job(job_id) WHERE paused = 1;

-- The done-set: disjoint half-open ranges of a job, neighbours of one state merged.
CREATE TABLE done(
    job_id TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (job_id, start)
) WITHOUT ROWID;

CREATE TABLE backfill(
    backfill_id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    "order" TEXT NOT NULL,
    reprocess TEXT NOT NULL,
    max_parallel INTEGER NOT NULL,
    on_failure TEXT NOT NULL,
    total INTEGER NOT NULL,
    total_exact INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    planned INTEGER NOT NULL,
    config BLOB,
    created_count INTEGER NOT NULL,
    live_count INTEGER NOT NULL,
    succeeded_count INTEGER NOT NULL,
    failed_count INTEGER NOT NULL,
    cancelled_count INTEGER NOT NULL,
    finished_at INTEGER
) WITHOUT ROWID;

CREATE TABLE config(
    job_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    value BLOB NOT NULL,
    effective_from INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    note TEXT,
    PRIMARY KEY (job_id, version)
) WITHOUT ROWID;

CREATE TABLE event(
    event_id INTEGER PRIMARY KEY,
    happened_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    job_id TEXT,
    run_id TEXT,
    detail BLOB
);

CREATE INDEX event_run ON event(run_id) WHERE run_id IS NOT NULL;
