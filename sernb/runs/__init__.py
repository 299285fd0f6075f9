"""Plan and run experiments, and store each run in its own folder."""
