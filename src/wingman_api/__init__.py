"""The REST front end: it records requests and decisions, mints capabilities, and cannot touch Docker."""
