"""The gate: does a running service tell dogs apart? Photos of known dogs in, a verdict for each limit out."""
