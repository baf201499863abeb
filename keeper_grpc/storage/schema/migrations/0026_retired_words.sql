-- Few patterns are retired, and each reading of an emerging pattern's sentences asks for them.
CREATE INDEX network_patterns_retired ON network_patterns (pattern_type) WHERE retired_time IS NOT NULL;
