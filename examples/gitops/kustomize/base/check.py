"""Asked before the new version gets its first request; with answerByResult, an exception is a no."""

from typing import Any


def handler(event: dict[str, Any], _context: Any) -> dict[str, bool]:
    """Say yes."""
    print(f"asked about {event['DeploymentId']}")
    return {"checked": True}
