"""`tox -e bench`: what a photo costs here, beside peer-shaped pipelines, and inside the service."""
