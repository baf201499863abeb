"""The inputs of metrics and uplift in the database."""
