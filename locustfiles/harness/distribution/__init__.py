"""One load from many processes: hello, barrier, beats and leases, who runs which users."""
