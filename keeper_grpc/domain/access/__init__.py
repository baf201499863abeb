"""Who calls, what that identity may do, and how much of it."""
