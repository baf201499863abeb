"""Measures of a run, beside the truth."""
