"""Sweeps in W&B's format, run here by Optuna."""
