"""What asks the nodes for the writes of a run when it is over."""
