"""Zip archives of which every field can lie; what no tool would write."""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One entry of an archive whose every field can lie."""

    name: bytes = b"index.py"
    content: bytes = b"handler = print\n"
    local_name: bytes | None = None
    method: int = 0
    flags: int = 0x800
    mode: int = stat.S_IFREG | 0o644
    declared: int | None = None
    packed: int | None = None
    offset: int | None = None
    version: int = 20

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        content = self.packed_content()
        sizes = struct.pack("<III", zlib.crc32(self.content), len(content), len(self.content))
        return (
            struct.pack("<4sHHHHH", b"PK\3\4", 20, self.flags, self.method, 0, 33)
            + sizes
            + struct.pack("<HH", len(name), 0)
            + name
            + content
        )

    def central(self, offset: int) -> bytes:
        packed = len(self.packed_content()) if self.packed is None else self.packed
        declared = len(self.content) if self.declared is None else self.declared
        return (
            struct.pack("<4sBBHHHHH", b"PK\1\2", 20, 3, self.version, self.flags, self.method, 0, 33)
            + struct.pack("<III", zlib.crc32(self.content), packed, declared)
            + struct.pack("<HHHHHI", len(self.name), 0, 0, 0, 0, self.mode << 16)
            + struct.pack("<I", offset if self.offset is None else self.offset)
            + self.name
        )

    def packed_content(self) -> bytes:
        if self.method != 8:
            return self.content
        deflating = zlib.compressobj(1, zlib.DEFLATED, -15)
        return deflating.compress(self.content) + deflating.flush()


def archive(*entries: Entry, count: int | None = None, comment: bytes = b"") -> bytes:
    content, directory = bytearray(), bytearray()
    for entry in entries:
        directory += entry.central(len(content))
        content += entry.local()
    count = min(len(entries), 0xFFFF) if count is None else count
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(directory), len(content), len(comment))
    return bytes(content + directory + end + comment)
