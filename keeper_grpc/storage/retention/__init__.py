"""What goes when it is old, a file for each kind, and how large the tables are."""
