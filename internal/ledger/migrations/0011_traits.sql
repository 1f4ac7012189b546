-- What was learned of a model at an endpoint (JSON of internal/llm/traits). hash is of base URL and model.
CREATE TABLE traits (
    hash       TEXT PRIMARY KEY,
    host       TEXT NOT NULL,
    model      TEXT NOT NULL,
    body       TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
