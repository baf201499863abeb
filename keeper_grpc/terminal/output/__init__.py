"""What the terminal commands print."""
