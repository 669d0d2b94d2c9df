"""Where code comes from: web addresses and buckets that tenants name.

A source is fetched into a temporary file, never into memory, within bounds of size and time; what it costs to fetch is
the same whoever serves it. Every failure is `FetchFailed` with its trouble. The contract that all sources keep is a
test suite: tests/contracts/sources.
"""
