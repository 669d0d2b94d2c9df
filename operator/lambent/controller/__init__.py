"""The controller: keeps Kubernetes in agreement with the Functions.

`watching`     kopf's events, which only fill the store and nudge keys
`store`        what was observed of Functions, pods and namespaces
`queueing`     one key at a time, coalesced, delayed, backed off
`demanding`    what gateways say that functions need
`reconciling`  observe → decide (core.plan) → apply
`applying`     the only writes
`storing`      code, on its way into the code store
`process`      puts it together; only the leader works

Rules live in `lambent.core`; here are loops.
"""
