"""The gRPC layer: handlers of a few lines, conversion, status mapping, interceptors."""
