"""What the whole file shows before anything is sent: how its numbers are written, and what its answers say.

A cell alone may be read in two ways (`1,200`), and a misspelt answer reads as no. Both would be stored
without a word, so the file is read once before: the same file gives the same result in every run.
"""
