"""Several processes that serve one port, and the parent that keeps them."""
