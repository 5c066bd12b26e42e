"""A vector per dog, close for the same dog."""
