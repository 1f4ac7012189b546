-- The service tier of a run's calls (empty: standard), and whether flex calls may use the standard price (0 or 1).
ALTER TABLE runs ADD COLUMN service TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN flex_fallback BIGINT NOT NULL DEFAULT 0;
-- The tier that a call was billed at (empty: not known).
ALTER TABLE calls ADD COLUMN tier TEXT NOT NULL DEFAULT '';
