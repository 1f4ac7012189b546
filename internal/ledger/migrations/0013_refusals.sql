-- Documents that the endpoint refused without saying whether they are at fault, or the account or the settings.
-- refused_call is the last call that was begun before the refusal was booked, refusal the class and the message.
ALTER TABLE run_documents ADD COLUMN refusals BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run_documents ADD COLUMN refused_call BIGINT;
ALTER TABLE run_documents ADD COLUMN refusal_class TEXT NOT NULL DEFAULT '';
ALTER TABLE run_documents ADD COLUMN refusal TEXT NOT NULL DEFAULT '';
CREATE INDEX run_documents_refused ON run_documents (run_num) WHERE refused_call IS NOT NULL;
