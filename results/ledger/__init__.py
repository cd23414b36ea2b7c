"""What became of each declared write, as the load side saw it."""
