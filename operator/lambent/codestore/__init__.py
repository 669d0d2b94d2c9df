"""The code store: keeps code by its digest and gives it to whoever holds a signed URL.

`settings`   the process' environment, parsed once
`backends`   a directory or a bucket
`listening`  the port, and how long a client may say nothing
`serving`    the HTTP door: signatures, ranges, caching, listing, deleting
`uploading`  bodies, counted and timed
`refusals`   every answer that is not the blob
`metering`   what operators look at, and whether the volume can be written
`scrubbing`  rot is found by reading
`draining`   what has begun is finished before the door closes
`process`    the composition root

Belongs here: the door and its loops. Never here: what a package must look like (`core.packaging`), how bytes reach
a disk or a bucket (`adapters.code`), what is referred to (the controller's collector knows). It is a process of its
own so that cold starts go on while the controller is down.
"""
