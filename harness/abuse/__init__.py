"""Requests and images that no well-behaved client sends, and what a patched service must answer to them.

``requests`` draws multipart forms, ``expectation`` says what Immich's form rules and the plugin's promises make of
each, and ``images`` makes damaged images from a seed. ``python -m harness.abuse FILE`` replays a request that broke a
promise.
"""
