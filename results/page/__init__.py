"""The page at a run's end, and the line while it goes on."""
