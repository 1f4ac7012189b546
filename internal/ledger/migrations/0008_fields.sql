-- The other fields of a JSON line, a JSON object; NULL if there are none, "!" and their bytes if they are too large.
ALTER TABLE results ADD COLUMN fields TEXT;
