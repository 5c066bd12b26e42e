"""How well ways of grouping tell known dogs apart, in made-up homes and among all dogs."""
