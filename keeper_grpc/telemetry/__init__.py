"""Metrics and traces of a running server: one set of instruments, and where they are read."""
