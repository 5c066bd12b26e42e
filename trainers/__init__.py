"""Training, measuring and packaging of the three networks; see ``README.md`` here."""
