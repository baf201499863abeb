"""Metrics: reports, their feed and their folding."""
