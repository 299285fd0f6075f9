"""Audio: decoding of files, augmentation, degradation and acoustic similarity, independent of any corpus."""
