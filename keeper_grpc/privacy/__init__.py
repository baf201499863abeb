"""What turns an account's words into words that any account may read."""
