"""The patch for a release that it does not fit: what moved, merged; for maintainers."""
