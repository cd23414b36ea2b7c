"""A run's folder as a whole: its seal, its files for other tools, and the list of runs."""
