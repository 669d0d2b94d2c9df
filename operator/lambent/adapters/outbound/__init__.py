"""The door to the rest of the world: addresses that a tenant named, dialled under the administrator's rules.

Whoever dials something on a tenant's word takes the session from here. What may be dialled is decided by
`model.addresses`; that nothing else is dialled is seen to here.
"""
