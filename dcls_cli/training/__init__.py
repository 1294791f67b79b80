"""Training: sampling, losses, optimiser, checkpoints and the loop that cannot collapse."""
