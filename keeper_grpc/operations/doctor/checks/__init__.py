"""What is looked at, a file for each place where something may be wrong."""
