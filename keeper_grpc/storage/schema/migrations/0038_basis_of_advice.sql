-- What the expected success rate of advice was made of: the note of a task's script says so.
ALTER TABLE enhancements ADD COLUMN basis text;  -- null where nothing proven was advised, and before this
