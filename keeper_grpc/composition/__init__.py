"""Makes the parts of a server, and of the commands that need some of them, from the settings, and joins them."""
