"""Advice in the database: candidates, enhancements, outcomes, suggestions."""
