"""Merging: which observations say the same thing. The action decides (docs/adr/0014)."""
