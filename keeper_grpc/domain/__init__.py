"""The rules of network learning, pure: no I/O, no clock, no randomness that is not passed in."""
