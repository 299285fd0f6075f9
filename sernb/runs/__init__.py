"""Runs: experiments are planned, run and kept, each in a folder of its own."""
