"""Accounts: their ids, and the results of forgetting one."""
