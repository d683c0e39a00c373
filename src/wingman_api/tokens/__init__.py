"""Capability tokens for trusted tooling, which presents them to the gateway itself."""
