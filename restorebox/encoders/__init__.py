"""Frozen networks that extract features of a picture's content, and their weights files."""

from restorebox.encoders.semantic import SemanticEncoder, feature_distance, semantic_encoders

__all__ = ['SemanticEncoder', 'feature_distance', 'semantic_encoders']
