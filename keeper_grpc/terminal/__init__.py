"""The commands that ask a running server and show what it answers: plain clients of the API."""
