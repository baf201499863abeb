"""Moving the network to another embedding model."""
