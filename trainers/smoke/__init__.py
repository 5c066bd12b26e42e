"""From photos to a model package on a handful of dogs, to show that the commands fit together."""
