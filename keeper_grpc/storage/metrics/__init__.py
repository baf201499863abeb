"""What metrics and uplift are computed from, read from the database."""
