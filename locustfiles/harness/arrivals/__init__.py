"""The open model: arrivals that start at their intended times, on a pool of sessions."""
