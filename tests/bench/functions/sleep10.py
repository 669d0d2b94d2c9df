"""Waits 10 ms, as a function that calls something does, and returns what it is given."""

import time


def handler(event: object, context: object) -> object:
    time.sleep(0.010)
    return event
