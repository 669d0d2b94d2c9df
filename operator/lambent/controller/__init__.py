"""The controller: keeps Kubernetes in agreement with the resources.

`watching`     kopf's events, which only fill the store and nudge keys; `sweeping` lists what no event told
`store`        what was observed of Functions, pods and namespaces; `version_book`, `alias_book`, `layer_book` of others
`queueing`     one key at a time, coalesced, delayed, backed off; `dispatching` knows who works on which
`demanding`    what gateways say that functions need
`reconciling`  Functions: observe → decide (core.plan) → apply; `version_reconciling`, `layer_reconciling` their kinds
`housing`      environments of a Function or a Version; `publishing` gives numbers, `retaining` lets versions go
`alias_reconciling`  Aliases and their rollouts; `hooking` asks hooks, `alarming` and `metering` read alarms
`applying`     the only writes
`storing`      code, on its way into the code store
`process`      puts it together; only the leader works

Rules live in `lambent.core`; here are loops.
"""
