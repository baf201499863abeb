"""The commands that work on the database of the settings, once, and what they print."""
