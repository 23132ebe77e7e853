"""Training hooks: checkpoints, moving average, comparison sheets, training curves, reports."""
