"""`keeper demo`: a short story on real parts. A step that does not hold ends the demo with an error.

play.py            the story, in order
failure.py         the error that ends it early
server_process.py  the real server, as a process of its own
database.py        a temporary database
history.py         examples/ as requests
captures.py        play captures over the channel, and count the responses
emerging.py        an open stream of emerging patterns
identifiers.py     the declared identifiers, which must never be stored
scan.py            search a database and log files for it
show.py            the output
loop.py            advice, its outcome, and what the next account is told
stay.py            afterwards: a dashboard, and accounts that go on asking
invented_world.py  what truly comes of what they do
"""
