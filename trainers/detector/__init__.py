"""Boxes around dogs."""
