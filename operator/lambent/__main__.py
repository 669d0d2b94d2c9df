"""`lambent <process>` or `lambent <command>`: one image holds every process, and the command line as well.

The first argument of a container says which process to be; everything else is the command line. Processes are
dispatched here, before anything is imported: they live without click.
"""

from __future__ import annotations

import importlib
import sys

PROCESSES = {
    "controller": "keeps Kubernetes in agreement with the resources",
    "gateway": "answers the Lambda API and lends requests their execution environments",
    "codestore": "keeps code by its digest",
    "depart": "ends a release's environments before `helm uninstall`",
    "selftest": "makes, invokes and removes a function for `helm test`",
}
_ROOMS = {"depart": "departing", "selftest": "selftesting"}
"""Where a process is not called like its room."""


def main() -> int:
    """Start the process that the first argument names, its own arguments following; else run a command."""
    if len(sys.argv) > 1 and sys.argv[1] in PROCESSES:
        process = importlib.import_module(f"lambent.{_ROOMS.get(sys.argv[1], sys.argv[1])}.process")
        return int(process.run())
    from lambent.cli import entering

    return entering.run()


if __name__ == "__main__":
    sys.exit(main())
