"""Admission control: how much the process works on at once, in which order, and what it refuses."""
