"""Protocols: how clips become training, validation and test parts, with an audit for leaks."""
