"""A Kubernetes to develop and test Lambent on, whatever the machine has.

What belongs here: finding or making a cluster, building Lambent's images and bringing them into it, and
undoing both. What never does: anything that knows what Lambent is for (charts, functions, assertions).
The test for deciding: would this code be the same for another product in the same repository layout?

It runs before any virtual environment exists, so it uses the standard library of Python 3.11 only.
"""
