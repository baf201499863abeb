"""What keeps the tables from growing without end, and how large they are."""
