"""The function that is deployed."""

from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Greet whoever the event names."""
    name = event.get("name", "world")
    return {"message": f"Hello, {name}!", "version": context.function_version}
