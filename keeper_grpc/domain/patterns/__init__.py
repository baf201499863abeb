"""Patterns: how observations merge, and how patterns are listed."""
