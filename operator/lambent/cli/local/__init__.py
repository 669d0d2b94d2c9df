"""`lambent local`: a function on this machine, without cluster, container or root; and sample events.

`group`          the two commands, imported when they are asked for
`invoking`       `invoke`: the words of the command line; `running` one run of a function, `watching` one after another
`manifests`      which Function a file holds, and whether it may be; `sources` where its code is
`variables`      the environment variables of the manifest, of a file and of the command line
`runtimes`       what starts the runtime here: an interpreter, AWS's client for it, a launcher
`agents`         the agent's process and its end; `doors` what is said to it
`generating`     `generate-event`: commands made of the documents in `events/`; `templates` how these become events

The agent and the runtime are those of a cluster; of the agent only its protocol is imported. Manifests are judged by
the model while the agent starts, because importing the model takes as long as that.
"""

from .group import local

__all__ = ["local"]
