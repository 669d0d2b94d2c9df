"""The room of leaving: what `helm uninstall` runs before it removes a release.

Belongs here: the order in which a release goes, and how long each part of it may take. Never here: what an
environment is (`model`), or anything that a living release needs.
"""
