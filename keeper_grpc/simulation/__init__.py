"""`keeper simulate`: the growth story through the real API, in a world whose truth is known.

parameters.py  what a world and its people are made of
wordings.py    what accounts say
world.py       the truth: how often which action works where
population.py  who joins when, and what they meet
belief.py      what an account has learned by itself
speech.py      how an account words it, and what the network's words mean
person.py      an account as it acts, in either arm, and its life without the network
server.py      the real server, at a simulated time
story.py       with the network: the day loop over the API
episodes.py    what happened, one insight a row
growth.py, knowledge.py, value.py, averages.py
               measures: of the stages, of what was learned, of time to value
report.py      all measures of one run
run.py         one run
table.py       as text and Markdown
plots.py       as pictures
command.py     the command
"""
