"""The shared kernel: pure functions and frozen values. No I/O, no clock, no randomness, no framework."""
