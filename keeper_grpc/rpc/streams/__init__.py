"""The streaming handlers."""
