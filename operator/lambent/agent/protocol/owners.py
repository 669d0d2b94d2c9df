"""Who speaks to an agent: a gateway's id and its epoch. The agent arbitrates between owners with this order."""

import re
from dataclasses import dataclass
from typing import Final

from .refusals import BadRequest

_FORM: Final = re.compile(rb"([A-Za-z0-9._:-]{1,128});epoch=([0-9]{1,19})")


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """Ordered as protocols.md says: the higher epoch wins, of equal ones the larger gateway id."""

    epoch: int
    gateway: str

    def to_header(self) -> bytes:
        """The value of `Lambent-Owner`."""
        return b"%b;epoch=%d" % (self.gateway.encode("ascii"), self.epoch)

    @classmethod
    def from_header(cls, value: bytes | None) -> "Owner":
        """Parses `<gateway id>;epoch=<n>`; anything else is a BadRequest."""
        form = _FORM.fullmatch(value) if value is not None else None
        if form is None:
            raise BadRequest("Lambent-Owner must be <gateway id>;epoch=<n>")
        return cls(int(form[2]), form[1].decode("ascii"))
