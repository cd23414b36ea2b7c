"""Checks as people write them: words, numbers, files, and where in them a mistake is."""
