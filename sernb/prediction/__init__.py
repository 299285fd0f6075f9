"""Prediction: what a trained model predicts for any recording, its confidence, and whether it can be trusted there."""
