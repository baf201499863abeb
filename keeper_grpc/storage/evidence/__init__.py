"""Evidence in the database: totals, the publication rule, the rebuild."""
