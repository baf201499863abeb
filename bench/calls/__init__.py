"""What each call costs, beside a bare service that does nothing: `make bench`."""
