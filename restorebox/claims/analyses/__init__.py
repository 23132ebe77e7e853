"""Analyses of trained networks on the test set, for claims about more than scores."""
