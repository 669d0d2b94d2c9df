"""The command line: `lambent`, and as a plugin of kubectl `kubectl lambent`.

`entering`       from the shell's arguments to an exit code; `outcomes` what the codes mean
`commands`       the commands, imported when they are asked for; `groups` of commands; `flags` what they share
`invoke` `logs` `top` `get` `version` `completion`   one command each, as people use it; `local/` without a cluster
`publish` `versions` `alias` `rollout`   likewise; `pointing` what `alias set` is told, `steering` what waits
`targets`        a function and its alias as they were written; `published` `aliases` the objects that are meant
`rollouts`       what a rollout is told as; `ownership` who else writes a specification
`objects`        what is read of any object; `observing` one object until somebody has seen enough
`answers` `payloads`   what an invocation came to, and what went into it
`kubeconfigs`    which cluster and who we are to it; `credentials` the plugins that know
`connections`    HTTP; `clusters` the API server over it
`gateways`       the Lambda API, direct or through the API server; `releases` where it is; `identities` who we are to it
`functions`      what a person wrote to name a function
`following`      the logs of environments that come and go; `log_lines` what is kept of them
`rates`          two samples of the gateways' counters, and what happened between them
`printing`       tables, JSON and YAML; `completing` what the shell may complete

Data goes to standard output, talk to standard error. It starts in about a tenth of a second because it imports no
Kubernetes library: that takes half a second (`adapters.kube` is for processes that live for weeks), and a press of Tab
would wait for it.
"""
