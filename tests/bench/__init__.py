"""The bench: every figure is a ratio of two sides measured in one run, because machines differ and are noisy.

`command`      what `python3 tests/bench` does: choose ids, run them, print a line and write a file for each
`goals.toml`   what is asked of each id; `verdicts` judges by it, and nothing else does
`ratios`       quantiles, ratios of block medians, bootstrap intervals: pure
`blocks`       the order A B B A, and running it
`loader`       the load program: a process of its own, the same code for both sides; `loads` asks it
`machines`     cores, and what a run says about the machine it ran on
`processes`    starting pinned processes and ending them, by process id
`emulator`     AWS's Runtime Interface Emulator; `agents` ours; `gateways` ours with a gateway before them
`backends`     the frozen programs as processes; `floors` what they say of the machine
`published`    a gateway over an API server in memory, with versions and aliases that move (`r9`, `rp`)
`binomials`    exact intervals of a fair split: pure
`p1` `p3` `p4` `p5` `p7` what is compared with what (`p1` holds P2 too); `shapes` how much of it; `results` what came of it
`frozen/`      comparators that must never become faster or slower: a raw proxy, a stub of an agent
`functions/`   handlers; the same files for both sides

No figure is asserted anywhere but in `goals.toml`. No sample is dropped but the warm-up of every block and whole blocks in
which the machine did something else; what a block measured never decides whether it counts.
"""
