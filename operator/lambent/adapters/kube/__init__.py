"""The API server's door: requests, watches, Events, Leases and token reviews as plain dicts and typed failures.

Belongs here: how Kubernetes is spoken. Never here: what should be written or what an answer means for a function.
"""
