"""Claims of workers: turned into assertions, looked at by probes, judged, and kept."""
