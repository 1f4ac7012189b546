-- The host that answered, as answers have it; empty where nothing was asked.
ALTER TABLE summaries ADD COLUMN endpoint TEXT NOT NULL DEFAULT '';
