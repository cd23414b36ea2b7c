"""What paired.py imports from its own folder."""

THINK_S = 0.1
