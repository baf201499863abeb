"""Reading text: tokens, cues, word lists and the draft that layers mask."""
