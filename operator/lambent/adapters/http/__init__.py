"""Ports that we serve: aiohttp's server with the bounds it does not have.

What is answered is for whoever listens; here are only connections: how many, how slow, how large a head.
"""
