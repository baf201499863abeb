"""Calls that no client of ours makes: damaged bytes and improbable messages, for every RPC."""
