"""`keeper demo`: a short story on real parts, each step of which fails loudly when it does not hold.

play.py            the story, in order
failure.py         what ends it early
server_process.py  the real server, as a process of its own
database.py        a database that is the demo's alone, and is gone afterwards
history.py         examples/ as requests
captures.py        play captures over the channel, and what the answers said
emerging.py        an open stream of emerging patterns
identifiers.py     what must never be stored
scan.py            search a database and log files for it
show.py            everything that is printed
"""
