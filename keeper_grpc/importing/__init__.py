"""`keeper import`: years of an account's history into the network, through its API.

    file -> rows -> mapping -> requests -> calls -> tally, rejects and state, in the order of the rows

A client of the service like any other: it knows the generated stubs and nothing of the server.
"""
