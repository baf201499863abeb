"""`keeper doctor`: one look at a process's settings, its database and its server says what is wrong."""
