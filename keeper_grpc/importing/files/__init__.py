"""The files an import reads and writes."""
