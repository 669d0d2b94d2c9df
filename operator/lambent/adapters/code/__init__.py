"""Where code lies: the code store's client, and the backends that the code store keeps blobs in.

Belongs here: bytes in and out by digest. Never here: who may read what: the process checks signatures.
"""
