"""Conditions: which keys may be shared, and how coarsely."""
