"""The world: its truth, its wordings, its people."""
