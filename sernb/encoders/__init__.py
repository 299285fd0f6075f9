"""Pretrained speech encoders: what is known of them, their weights, and what turns a signal into hidden states."""
