"""The interceptors of every call, one concern a file."""
