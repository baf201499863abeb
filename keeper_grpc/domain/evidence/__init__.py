"""Evidence: bounds, expectations, and the rule of publication."""
