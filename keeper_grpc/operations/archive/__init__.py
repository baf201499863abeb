"""`keeper archive`: months of the ledger as Parquet files in a directory that the operator keeps."""
