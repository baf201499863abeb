"""The labelled sets, and how the anonymizer scores on them."""
