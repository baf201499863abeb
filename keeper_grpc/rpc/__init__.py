"""The gRPC face: handlers of a few lines, conversion, status mapping, interceptors."""
