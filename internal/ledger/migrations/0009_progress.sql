-- What a worker waits for (JSON), its process, and the only runs that it works on, as ',1,2,' (empty: all).
ALTER TABLE workers ADD COLUMN waiting TEXT;
ALTER TABLE workers ADD COLUMN process TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN only_runs TEXT NOT NULL DEFAULT '';
-- When a stopped run was last resumed.
ALTER TABLE runs ADD COLUMN resumed_at BIGINT;
-- Documents that ended, by run, worker (0: folded), committer and interval of 5 s (its begin; 0: folded).
-- Each committer of a worker writes only its own rows, so no write waits for another.
CREATE TABLE work (
    run_num    BIGINT NOT NULL,
    holder     BIGINT NOT NULL,
    committer  BIGINT NOT NULL,
    bucket     BIGINT NOT NULL,
    begun_at   BIGINT NOT NULL,
    documents  BIGINT NOT NULL,
    reused     BIGINT NOT NULL,
    saved_nano BIGINT NOT NULL,
    PRIMARY KEY (run_num, holder, committer, bucket)
) @without_rowid;
CREATE INDEX work_buckets ON work (bucket) WHERE bucket > 0;
