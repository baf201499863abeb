"""How things look: figures, markup, theme."""
