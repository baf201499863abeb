"""Connect, gRPC-Web and JSON over HTTP: the same handlers as gRPC's, for browsers, curl and proxies."""
