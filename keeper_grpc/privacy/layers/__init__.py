"""The anonymizer's layers, one a file."""
