"""Registries of container images: what a name means today, asked by the OCI distribution protocol.

`client` is the door. Its parts without input and output: `challenges`, `credentials`, `manifests`, `configs`; those
with: `fetching` (one bounded exchange), `authorizing` (what a registry wants to see before it answers).

Belongs here: asking, and believing nothing that was not verified. Never here: pulling layers, which nodes do, or what
becomes of a function whose image cannot be resolved.
"""
