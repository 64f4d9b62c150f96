-- The log: the truth. Everything below it is a fold over it.
-- AUTOINCREMENT: a position is never used twice, even after the newest entry, a tick, was forgotten.
CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,
    run      TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    rank     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received REAL NOT NULL,  -- Unix seconds, the collector's clock
    body     BLOB NOT NULL   -- MessagePack
);

-- The identity of a batch: sent twice, kept once.
CREATE UNIQUE INDEX IF NOT EXISTS log_batch_identity ON log (run, attempt, rank, seq) WHERE kind = 'batch';
-- The batches of one rank in the order of the log: charts read these.
CREATE INDEX IF NOT EXISTS log_batch_order ON log (run, rank, position) WHERE kind = 'batch';
-- Which runs are known.
CREATE INDEX IF NOT EXISTS log_registered ON log (run) WHERE kind = 'registered';
-- Ticks, which are forgotten after a while.
CREATE INDEX IF NOT EXISTS log_tick ON log (position) WHERE kind = 'tick';

-- Up to which position the log is folded: one row.
CREATE TABLE IF NOT EXISTS folded (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    position INTEGER NOT NULL
);
INSERT OR IGNORE INTO folded (only, position) VALUES (1, 0);

-- One row a run: what is told of it, and the state from which the fold goes on. Both MessagePack.
CREATE TABLE IF NOT EXISTS runs (
    run     TEXT PRIMARY KEY,
    created REAL NOT NULL,
    heard   REAL NOT NULL,
    live    INTEGER NOT NULL,
    summary BLOB NOT NULL,
    state   BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_created ON runs (created);
CREATE INDEX IF NOT EXISTS runs_live ON runs (live) WHERE live = 1;

CREATE TABLE IF NOT EXISTS incidents (
    ordinal INTEGER PRIMARY KEY,  -- the order in which they were opened
    run     TEXT NOT NULL,
    id      TEXT NOT NULL,
    body    BLOB NOT NULL,
    UNIQUE (run, id)
);

CREATE TABLE IF NOT EXISTS commands (
    ordinal INTEGER PRIMARY KEY,
    run     TEXT NOT NULL,
    id      TEXT NOT NULL,
    pending INTEGER NOT NULL,
    body    BLOB NOT NULL,
    UNIQUE (run, id)
);
CREATE INDEX IF NOT EXISTS commands_pending ON commands (ordinal) WHERE pending = 1;

CREATE TABLE IF NOT EXISTS alerts (
    ordinal INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    run     TEXT NOT NULL,
    state   TEXT NOT NULL,
    body    BLOB NOT NULL
);

-- What is still to be told, to whom; `trimtab_alerts.outbox` says what each column means.
CREATE TABLE IF NOT EXISTS outbox (
    added       INTEGER PRIMARY KEY,  -- the order in which they were added
    id          TEXT NOT NULL UNIQUE,
    destination TEXT NOT NULL,
    dedup_key   TEXT NOT NULL,
    ordinal     INTEGER NOT NULL,
    action      TEXT NOT NULL,
    body        TEXT NOT NULL,
    created_at  REAL NOT NULL,
    attempts    INTEGER NOT NULL,
    next_try_at REAL NOT NULL,
    state       TEXT NOT NULL,
    error       TEXT
);
CREATE INDEX IF NOT EXISTS outbox_pending ON outbox (destination, dedup_key, ordinal) WHERE state = 'pending';

-- Carbon intensities of grids by the hour, as their providers told them: no part of the fold, used when read.
CREATE TABLE IF NOT EXISTS intensities (
    provider     TEXT NOT NULL,
    zone         TEXT NOT NULL,
    signal       TEXT NOT NULL,     -- average or marginal
    hour         INTEGER NOT NULL,  -- its start, Unix seconds
    g_per_kwh    REAL NOT NULL,
    basis        TEXT NOT NULL,
    is_estimated INTEGER NOT NULL,
    fetched      REAL NOT NULL,     -- Unix seconds, the collector's clock
    PRIMARY KEY (provider, zone, signal, hour)
) WITHOUT ROWID;
