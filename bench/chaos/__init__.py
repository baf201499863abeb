"""Several servers on one database, under load, while all of them are killed, and a proof of what is left."""
