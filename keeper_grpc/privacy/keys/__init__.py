"""Pseudonym keys and the keyed hashes they make."""
