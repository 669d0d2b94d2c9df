"""The workshop: what is generated at build time out of the model (CustomResourceDefinitions, reference pages).

Belongs here: generators with a `--check` that a test runs. Never here: anything that a process imports at run time.
"""
