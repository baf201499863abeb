"""`keeper backup` and `keeper restore`: the whole database as one directory, verified; the pseudonym keys apart."""
