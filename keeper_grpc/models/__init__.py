"""The embedding model that this process serves with: choosing it, making it, following the database."""
