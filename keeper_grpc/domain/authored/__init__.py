"""Authored patterns: the catalog's rules, their triggers, and the moves they suggest."""
