"""Benchmarks and fuzz tests for maintainers."""
