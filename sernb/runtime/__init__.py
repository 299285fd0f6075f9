"""How work is done on a machine: files, locks, processes, memory, progress, provenance. Knows nothing of speech."""
