"""What holds for every test: a busy machine makes a property test slow, never wrong."""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("lambent", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lambent")

# A shell that starts us in the background has us, and all that we start, ignore Ctrl-C. The tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
