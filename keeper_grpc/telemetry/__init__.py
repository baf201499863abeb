"""Metrics and traces of a running server: one set of instruments, and their exporters."""
