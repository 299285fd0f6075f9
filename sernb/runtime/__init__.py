"""General infrastructure: files, locks, processes, memory, downloads, progress, provenance; independent of speech."""
