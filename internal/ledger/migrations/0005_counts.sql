-- Counts that only grow, for metrics: what has ever been done on this ledger is the sum over all holders. A holder is a
-- worker (its id), a plan (the run's number, negative), or 0 for those whose rows were pruned. It writes only its own rows, so no write
-- waits for another.
CREATE TABLE counts (
    holder BIGINT NOT NULL,
    name   TEXT NOT NULL,
    label  TEXT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (holder, name, label)
) @without_rowid;
-- When a plan of the source last succeeded, also one that found nothing new.
ALTER TABLE sources ADD COLUMN planned_at BIGINT;
-- With state among its columns, or SQLite goes through all results.
CREATE INDEX results_dead_class ON results (state, class) WHERE state = 'dead';
