"""What the harness adds to Locust's web UI."""
