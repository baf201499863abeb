"""`keeper simulate`: the growth story through the real API, in a world whose truth is known.

parameters.py  what a world and its people are made of
wordings.py    what accounts say
world.py       the truth: how often which action works where
population.py  who joins when, and what they meet
belief.py      what an account has learned by itself
speech.py      how an account words it, and what the network's words mean
story.py       with the network: the day loop over the API
alone.py       without it: the same accounts, the same luck, no network
episodes.py    what happened, one insight a row
truth.py, value.py, growth.py
               measures: estimates against truth, time to value, the stages of growth
report.py      all measures of one run
table.py       as text and Markdown
plots.py       as pictures
command.py     the command
"""
