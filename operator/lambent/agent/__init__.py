"""The guest house: PID 1 of every execution environment.

What belongs here: the door (called by gateways), the Runtime API (called by the runtime), supervision of the
function's processes, its logs, its code. What never does: anything that is not in the standard library, anything
else of `lambent`. The agent runs inside the user's image, where nothing but itself can be relied upon.
The test for deciding: would it still have to happen with one function, one environment and no cluster?
Others import `lambent.agent.protocol` and nothing else.
"""
