"""Probes: each looks at one kind of fact, where looking is allowed; only they testify. ``probes`` opens them."""
