"""The mapping: how columns become fields."""
