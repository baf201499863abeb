"""Text to unit vectors: one Protocol, the bundled local model, OpenAI, and the cache in front of both."""
