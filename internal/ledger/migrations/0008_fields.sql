-- The other fields of a JSON line, as a JSON object. NULL: there are none. "!" and their size in bytes: they are too large.
ALTER TABLE results ADD COLUMN fields TEXT;
