"""`code.url`: an archive at a web address."""

from __future__ import annotations

from dataclasses import dataclass

from .fetching import Request


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An http or https address. Its representation leaves the query out, which may be a signature."""

    url: str

    def __repr__(self) -> str:
        return f"WebAddress({self.url.split('?')[0]!r})"

    def request(self) -> Request:
        """What to ask for."""
        return Request(self.url)
