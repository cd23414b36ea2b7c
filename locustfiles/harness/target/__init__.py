"""What is loaded: found, allowed, reached, and watched from outside."""
