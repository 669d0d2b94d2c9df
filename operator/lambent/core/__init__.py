"""What should happen: pure decisions, one question per file.

Values in, values out. `now`, dice and identifiers are handed in; nothing here waits, reads or writes.
"""
