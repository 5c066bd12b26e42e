"""``identify``: from a folder of photos to groups of dogs, tables and a report."""
