-- The call token: by it a worker recognizes its own call record when the connection broke at the commit.
ALTER TABLE calls ADD COLUMN token BIGINT NOT NULL DEFAULT 0;
