-- When the reason of a stopped run ends (milliseconds; NULL: unknown), and which quota stopped it ('credit': no credit is left).
ALTER TABLE runs ADD COLUMN stopped_until BIGINT;
ALTER TABLE runs ADD COLUMN quota TEXT NOT NULL DEFAULT '';
UPDATE runs SET quota = 'credit' WHERE state = 'stopped' AND reason = 'halted' AND message LIKE '%no credit%';
