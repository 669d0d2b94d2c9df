"""Makes tests/cluster/local importable as the package it is: it is a program, not part of the product."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cluster"))
