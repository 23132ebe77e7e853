"""What a trained network makes of its input, measured on the test set: figures that claims are about."""
