"""Evidence: the rebuild from the ledger."""
