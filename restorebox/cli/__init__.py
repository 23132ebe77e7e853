"""Commands of the console script. ``tools/*.py`` are wrappers around them."""
