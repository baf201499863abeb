"""PostgreSQL with pgvector: the one storage implementation."""
