-- Times are Unix milliseconds in ledger time. Money is nano-USD (1e-9 USD); NULL is an unknown price.
-- Tokens: @id, @without_rowid are replaced by the dialect.

CREATE TABLE profiles (
    id         @id,
    hash       TEXT NOT NULL UNIQUE,
    model      TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE sources (
    id         @id,
    url        TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE runs (
    num             @id,
    name            TEXT NOT NULL UNIQUE,
    source_id       BIGINT NOT NULL REFERENCES sources(id),
    profile_id      BIGINT NOT NULL REFERENCES profiles(id),
    state           TEXT NOT NULL,
    reason          TEXT,
    message         TEXT NOT NULL DEFAULT '',
    scan            BIGINT NOT NULL DEFAULT 0,
    forced_at       BIGINT,
    budget_nano     BIGINT,
    budget_tokens   BIGINT,
    spent_nano      BIGINT NOT NULL DEFAULT 0,
    spent_tokens    BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT
);
-- A pair of source and profile has one unfinished run at the most; a cancelled one is over.
CREATE UNIQUE INDEX runs_unfinished ON runs (source_id, profile_id)
    WHERE state <> 'finished' AND (reason IS NULL OR reason <> 'cancelled');

CREATE TABLE planners (
    source_id   BIGINT NOT NULL,
    profile_id  BIGINT NOT NULL,
    holder      TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (source_id, profile_id)
);

CREATE TABLE documents (
    id          @id,
    source_id   BIGINT NOT NULL,
    uri         TEXT NOT NULL,
    locator     TEXT NOT NULL,
    version     TEXT NOT NULL,
    size        BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    gone_at     BIGINT
);
CREATE UNIQUE INDEX documents_uri ON documents (source_id, uri);

CREATE TABLE partitions (
    id         @id,
    run_num    BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    state      TEXT NOT NULL,
    generation BIGINT NOT NULL DEFAULT 1,
    documents  BIGINT NOT NULL,
    bytes      BIGINT NOT NULL
);
CREATE INDEX partitions_open ON partitions (run_num) WHERE state <> 'done';

CREATE TABLE workers (
    id          @id,
    name        TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX workers_live ON workers (lease_until) WHERE ended_at IS NULL;

-- The documents of a run, each with where it stands. A claim is the epoch and the worker; the worker's
-- row holds the lease.
CREATE TABLE run_documents (
    run_num      BIGINT NOT NULL,
    document_id  BIGINT NOT NULL,
    scan         BIGINT NOT NULL,
    state        TEXT NOT NULL,
    partition_id BIGINT,
    epoch        BIGINT NOT NULL DEFAULT 0,
    worker_id    BIGINT,
    attempts     BIGINT NOT NULL DEFAULT 0,
    tries        BIGINT NOT NULL DEFAULT 0,
    crashes      BIGINT NOT NULL DEFAULT 0,
    suspect      BIGINT NOT NULL DEFAULT 0,
    due_at       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (run_num, document_id)
) @without_rowid;
CREATE INDEX run_documents_open ON run_documents (partition_id) WHERE state IN ('pending', 'claimed');
CREATE INDEX run_documents_worker ON run_documents (worker_id) WHERE worker_id IS NOT NULL;

-- What became of a document under a profile the last time it was worked on.
CREATE TABLE results (
    document_id    BIGINT NOT NULL,
    profile_id     BIGINT NOT NULL,
    run_num        BIGINT NOT NULL,
    version        TEXT NOT NULL,
    state          TEXT NOT NULL,
    content_sha256 TEXT NOT NULL DEFAULT '',
    summary        TEXT,
    class          TEXT NOT NULL DEFAULT '',
    message        TEXT NOT NULL DEFAULT '',
    attempts       BIGINT NOT NULL DEFAULT 0,
    at             BIGINT NOT NULL,
    PRIMARY KEY (document_id, profile_id)
) @without_rowid;
CREATE INDEX results_dead ON results (run_num) WHERE state = 'dead';

-- What happened to documents that did not go straight to done.
CREATE TABLE history (
    id          @id,
    document_id BIGINT NOT NULL,
    run_num     BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    event       TEXT NOT NULL,
    attempt     BIGINT NOT NULL DEFAULT 0,
    class       TEXT NOT NULL DEFAULT '',
    message     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX history_document ON history (document_id);

CREATE TABLE summaries (
    name       TEXT PRIMARY KEY,
    profile_id BIGINT NOT NULL,
    run_num    BIGINT NOT NULL,
    title      TEXT NOT NULL,
    text       TEXT NOT NULL,
    output     TEXT,
    model      TEXT NOT NULL,
    tokens_in  BIGINT NOT NULL,
    tokens_out BIGINT NOT NULL,
    cost_nano  BIGINT,
    chunks     BIGINT NOT NULL,
    checks     TEXT NOT NULL DEFAULT '[]',
    created_at BIGINT NOT NULL
);

-- Answers of single calls by the name of their request: what a retry need not pay for again.
CREATE TABLE answers (
    name          TEXT PRIMARY KEY,
    content       TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    model         TEXT NOT NULL,
    endpoint      TEXT NOT NULL,
    tokens_in     BIGINT NOT NULL,
    tokens_cached BIGINT NOT NULL,
    tokens_out    BIGINT NOT NULL,
    cost_nano     BIGINT,
    created_at    BIGINT NOT NULL
);

-- Every call: a row before it is made (the intent, which is also the claim on its name), its end after it.
CREATE TABLE calls (
    id              @id,
    run_num         BIGINT NOT NULL,
    document_id     BIGINT NOT NULL,
    worker_id       BIGINT NOT NULL,
    name            TEXT NOT NULL,
    model           TEXT NOT NULL,
    endpoint        TEXT NOT NULL DEFAULT '',
    started_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    class           TEXT NOT NULL DEFAULT '',
    tokens_in       BIGINT NOT NULL DEFAULT 0,
    tokens_cached   BIGINT NOT NULL DEFAULT 0,
    tokens_out      BIGINT NOT NULL DEFAULT 0,
    cost_nano       BIGINT,
    reserved_nano   BIGINT,
    reserved_tokens BIGINT NOT NULL
);
CREATE UNIQUE INDEX calls_open ON calls (name) WHERE finished_at IS NULL;
CREATE INDEX calls_run ON calls (run_num);
