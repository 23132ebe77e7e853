"""Frozen networks that tell what a picture shows, and the files of their weights."""

from restorebox.encoders.semantic import SemanticEncoder, feature_distance

__all__ = ['SemanticEncoder', 'feature_distance']
