"""The room of `helm test`: a function is made, invoked as any caller would, and removed.

Belongs here: what proves that an installation works. Never here: anything that the other processes need.
"""
