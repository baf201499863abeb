"""Old observations in files: how they leave the ledger, what stays of them, and the files as the database knows them."""
