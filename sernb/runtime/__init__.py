"""How work is done on a computer: files, locks, processes, memory, progress, provenance. Knows nothing of speech."""
