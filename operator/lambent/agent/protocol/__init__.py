"""What the agent and its callers say to each other: values and codecs, no I/O, standard library only.

`names`     paths, header and trailer names, limits
`owners`    who calls: gateway id and epoch, and which of two wins
`claims`    what an environment is asked to become, and its answer
`states`    what `GET /v1/state` says
`refusals`  the door's errors, one tree
`http1`     HTTP/1.1: decoders (with `heads`) and encoders (`writing`)

The gateway's agent client, the bench's stub and the agent itself use the same code, so they cannot disagree.
"""
