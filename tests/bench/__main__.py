"""`python3 tests/bench` from anywhere, or `python3 -m tests.bench` from the root."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    # As a folder, Python puts the folder itself first, where its files would be taken for top-level modules.
    sys.path[:] = [
        str(ROOT),
        str(ROOT / "operator"),
        *[place for place in sys.path if Path(place or ".").resolve() != ROOT / "tests" / "bench"],
    ]
    from tests.bench.command import main

    sys.exit(main())
