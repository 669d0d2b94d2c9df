"""`lambent <process>`: one image holds every process; the first argument says which one to be."""

from __future__ import annotations

import importlib
import sys

PROCESSES = {
    "controller": "keeps Kubernetes in agreement with the resources",
    "gateway": "answers the Lambda API and lends requests their execution environments",
    "codestore": "keeps code by its digest",
}


def main() -> int:
    """Start the process that the first argument names; its own arguments follow."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") or sys.argv[1] not in PROCESSES:
        wanted = len(sys.argv) > 1 and sys.argv[1] in ("-h", "--help")
        lines = [f"  {name:<11} {text}" for name, text in PROCESSES.items()]
        print("usage: lambent <process>\n\n" + "\n".join(lines), file=sys.stdout if wanted else sys.stderr)
        return 0 if wanted else 2
    process = importlib.import_module(f"lambent.{sys.argv[1]}.process")
    return int(process.run())


if __name__ == "__main__":
    sys.exit(main())
