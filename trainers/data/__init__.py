"""Readers of the photos that train and measure."""
