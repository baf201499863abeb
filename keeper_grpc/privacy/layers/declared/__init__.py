"""Layer 2: what the caller declared as identifying, one kind a file."""
