"""Results: finished runs read back, as tables, protocol cards, comparisons and explanations."""
