"""Pretrained speech encoders: registry, weights, and functions from a signal to hidden states."""
