"""`python3 -m lambent.agent`: hardens itself before anything else is even imported, then runs."""

import sys

from .hardening import become_subreaper, become_undumpable, forget_secrets, hold_endings, limit_resources
from .settings import Settings


def main() -> int:
    """0 after a drain; 2 when the settings make no sense."""
    become_undumpable()
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        print(f"lambent: {error}", file=sys.stderr)
        return 2
    forget_secrets()
    become_subreaper()
    limit_resources()
    hold_endings()
    # Neither door speaks TLS; without it asyncio comes 4 MB smaller (it takes a missing ssl module as normal).
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    import asyncio

    from .running import live

    asyncio.run(live(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
