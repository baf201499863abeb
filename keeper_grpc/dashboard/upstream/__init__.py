"""What the pages show, read once from the service for all of them."""
