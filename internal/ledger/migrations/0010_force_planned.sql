-- When a plan with --force that is not confirmed yet was begun. Publishing makes it forced_at.
ALTER TABLE runs ADD COLUMN force_planned_at BIGINT;
