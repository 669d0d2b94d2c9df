"""`python3 tests/cluster/local COMMAND`: makes the folder importable as the package it is."""

import sys
from pathlib import Path

# The interpreter put this folder itself first: its modules would shadow others and have no package.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from local.commands import main  # noqa: E402  the path above is what makes it importable

sys.exit(main(sys.argv[1:]))
