"""What happens around the loop: checkpoints, moving average, sheets, curves, reports."""
