"""Where telemetry is sent to. Read with the settings, before anything else is imported."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to: HTTP with a path and a method, TCP without. `authority` is what an HTTP request names as its host."""

    host: str
    port: int
    path: str = ""
    method: str = "POST"
    authority: str = ""

    @property
    def http(self) -> bool:
        """Else plain TCP."""
        return bool(self.path)


def parse_sink(address: str) -> Destination:
    """An installation's own consumer: `http://host:port/path` or `tcp://host:port`. ValueError for anything else."""
    form = re.fullmatch(r"(http|tcp)://(\[[0-9A-Fa-f:.]+\]|[^/:?#@\s]+):([0-9]{1,5})(/[!-~]*)?", address)
    if form is None or not 0 < int(form[3]) <= 65535 or (form[1] == "tcp" and form[4] not in {None, "/"}):
        raise ValueError("LAMBENT_LOG_SINK must be http://host:port/path or tcp://host:port")
    path = "" if form[1] == "tcp" else form[4] or "/"
    return Destination(form[2].strip("[]"), int(form[3]), path, authority=f"{form[2]}:{form[3]}")
