"""How properties are searched: bounded in examples, not in time, so that a slow machine finds no false failure."""

from hypothesis import HealthCheck, settings

settings.register_profile("wingman", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wingman")
