-- Which documents of a run have a summary with findings. It is set with the outcome, so that status need not read summaries.
ALTER TABLE run_documents ADD COLUMN flagged BIGINT NOT NULL DEFAULT 0;
-- With flagged among its columns, or SQLite goes through all documents of the run: only a covering index is preferred to the primary key.
CREATE INDEX run_documents_flagged ON run_documents (run_num, state, flagged) WHERE flagged = 1;
