"""What things are: the kinds, names, limits, conditions, records and errors everybody else speaks of.

Belongs here: values and their validity. Never here: I/O, clocks, dice, decisions about what should happen.
"""
