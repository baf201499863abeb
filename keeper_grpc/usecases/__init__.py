"""One use case a file. Each states as a Protocol what it needs from storage and from the embedder."""
