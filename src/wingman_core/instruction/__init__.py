"""The instruction gate: ten sections, four policy checks, one score. ``report.check`` is the way in."""
