"""What operators look at: JSON lines on standard error, Prometheus metrics and health on port 9090.

`logs`     one line, one JSON object
`metrics`  every metric's name, labels and buckets, in this one place
`spans`    what a span of an invocation is made of
`tracing`  sending them with OpenTelemetry, an extra: import it only where it is wanted
`serving`  `/metrics`, `/healthz` and `/readyz`

Never here: what is measured when (the process decides), and never a payload, a token, a variable's value.
"""
