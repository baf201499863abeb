"""Which embedding model the database belongs to, and moving it to another."""
