"""The commands that query a running server and print its responses: plain clients of the API."""
