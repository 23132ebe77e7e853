"""Demonstration: results of the shipped model, then training of a small model from scratch."""
