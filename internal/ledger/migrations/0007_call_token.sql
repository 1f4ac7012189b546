-- By which a worker knows a call again that it has recorded without hearing of it: the connection broke at the commit.
ALTER TABLE calls ADD COLUMN token BIGINT NOT NULL DEFAULT 0;
