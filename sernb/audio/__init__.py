"""Audio: a file becomes a signal; augmentation, degradation, the similarity of two recordings. Knows no corpus."""
