"""What callers see when more comes than the service can do."""
