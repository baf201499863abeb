"""The play: accounts that act, with and without the network."""
