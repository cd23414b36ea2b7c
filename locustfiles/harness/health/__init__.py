"""How the generator itself does, every second in every process."""
