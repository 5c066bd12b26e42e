"""What ``Dockerfile.dogs`` runs while it builds, with nothing but the base image: a shell and Python's own library."""
