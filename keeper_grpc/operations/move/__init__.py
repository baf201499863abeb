"""`keeper move`: take a running network to another database, and back; docs/adr/0022."""
