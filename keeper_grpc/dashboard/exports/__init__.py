"""Tables of the pages as files."""
