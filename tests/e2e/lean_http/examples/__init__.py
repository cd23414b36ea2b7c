"""Locustfiles in the style of Locust's own documentation, each for FastHttpUser."""
