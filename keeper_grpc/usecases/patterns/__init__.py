"""Patterns: capture, read, seed, maintain."""
