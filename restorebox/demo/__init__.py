"""What a visitor sees first: the shipped model at work, then a small one that is trained from nothing."""
