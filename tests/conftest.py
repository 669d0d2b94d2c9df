"""What holds for every test: a busy machine makes a property test slow, never wrong."""

from hypothesis import HealthCheck, settings

settings.register_profile("lambent", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lambent")
