"""What the papers claim, which runs check it, and what came of them."""
