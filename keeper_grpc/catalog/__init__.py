"""What the service knows of the trade before the first account speaks: versioned data."""
