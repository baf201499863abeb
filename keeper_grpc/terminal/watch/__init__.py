"""`keeper watch`."""
