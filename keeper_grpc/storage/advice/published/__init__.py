"""The published patterns in memory: loaded, kept fresh, and asked before the database is."""
