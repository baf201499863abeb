"""Accounts: what one is, and what forgetting one did."""
