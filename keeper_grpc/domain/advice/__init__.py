"""Advice: which pattern answers an insight, in which words, and what becomes a task."""
