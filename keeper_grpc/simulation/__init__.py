"""`keeper simulate`: the growth story through the real API, in a world whose truth is known.

parameters.py  the world, its people and the run, as numbers
world/         the truth, the wordings, the population and what accounts believe
play/          the story day by day over the API: accounts, their words, the server, the episodes
measures/      stages, knowledge and time to value, compared with the truth
show/          the run as tables and plots
run.py         one run
command.py     the command
"""
