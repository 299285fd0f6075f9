"""Protocols: how clips are split into training, validation and test parts, with an audit for leaks."""
