"""`keeper backtest`: what the network would have advised on a history, told before its owner joins.

    file -> rows -> earlier ones captured, later ones asked about, by a server of its own -> figures -> tables

Nothing is kept: the server and its database are this process's own, and gone at the end.
"""
