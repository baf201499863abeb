"""The run as tables and pictures."""
