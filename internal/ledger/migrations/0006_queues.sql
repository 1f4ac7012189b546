-- Each queue that this ledger's tasks go to, with the mark that stands in its Redis as well, and when a process last saw it there.
CREATE TABLE queues (
    name    TEXT PRIMARY KEY,
    mark    TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);
