"""Knows the model's API where pinnace asks it something itself; it must not know the CLI."""
