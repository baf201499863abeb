"""The schema: migrations, and checks of the server before them."""
