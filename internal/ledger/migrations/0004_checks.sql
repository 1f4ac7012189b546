-- Which documents of a run have a summary with findings. It is set with the outcome, so that status need not read summaries.
ALTER TABLE run_documents ADD COLUMN flagged BIGINT NOT NULL DEFAULT 0;
CREATE INDEX run_documents_flagged ON run_documents (run_num, state) WHERE flagged = 1;
