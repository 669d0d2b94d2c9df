"""Doors: the only input and output of the house. An adapter carries, it does not decide."""
