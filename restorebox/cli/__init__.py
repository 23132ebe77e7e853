"""The verbs of the console script. ``tools/*.py`` are shims over them."""
