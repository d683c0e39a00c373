"""The disaster drill: an environment is stopped, removed, started cold and validated, and a report says how it went."""
