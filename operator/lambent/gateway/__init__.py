"""The gateway: answers the Lambda API and lends requests their execution environments.

`process`        composition root; `settings` what it is told
`public_door`    port 8080: the Lambda API; `serving` hands it whole requests, `bodies` reads the large ones
`internal_door`  port 8081: demand, retiring and `internal_invocations`, for the controller
`answering`      one request to run and its answer, the same behind both doors
`authenticating` whose a token is, for both doors; `authorizing` who may invoke what; `reviewing` asks the API server
`watching`       Functions, Versions, Aliases, Namespaces and pods as observed, into table and environments
`environments`   every pod as this gateway uses it; `tending` leads each from its first dial to ready
`claiming`       what an environment is asked to become; `codes` the bytes for it
`hook_reports`   what hooks of rollouts report, into the status of their alias
`pools`          who gets which environment, per key: `core.admission` with futures
`invoking`       one request from route to answer; `invocations` its part on the agent's connection
`accounts`       the concurrency of every namespace
`ownership`      this gateway's id and epoch; `keeping` lets idle environments hear of it
`retiring`       environments that the controller wants back
`demand_streams` what the controller is told; `measuring` what Prometheus is told

Loops, not rules: what is lent to whom, why something failed and what an error looks like is decided in `core` and
`wire`. No call to the Kubernetes API happens between the arrival of a request and its answer, but the questions about
a caller who was not known yet.
"""
