"""Advice in the database."""
