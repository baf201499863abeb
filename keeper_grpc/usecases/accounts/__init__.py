"""Accounts: registration, forgetting, audit, words that k accounts approve."""
