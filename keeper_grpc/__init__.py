"""Keeper Network Learning: what one account learns, every account knows, and nobody learns who."""
