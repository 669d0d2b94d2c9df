"""S3 of goals.md: five thousand hostile archives, through the controller's judgement and through the agent's unpacking.

Counted is what appears outside of the folder (nothing), and how far past its limit a bomb comes (not a mebibyte). The
agent unpacks every one of them, also those that the controller would have refused: it trusts nobody.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.core.lying_archives import Entry, archive

from lambent.agent.unpacking import BadArchive, unpack
from lambent.core import packaging
from lambent.model.errors import InvalidCode

ARCHIVES = 5000
LIMIT = 80_000
PAST_LIMIT = 1024 * 1024
LINK, DEVICE, FIFO, SOCKET = (kind | 0o777 for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK))
SETUID = stat.S_IFREG | 0o6755

CONTENT_LIES = (
    "Bad CRC",
    "Error -3",
    "Error -5",
    "larger than",
    "Bad magic",
    "does not match",
    "not a valid zip",
    "EOF",
)
"""What only who unpacks can see."""


class Yard:
    """A folder to unpack into, with something beside it that nobody may touch."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.outside = place / "outside"
        self.outside.mkdir(parents=True)
        (self.outside / "canary").write_text("sings")
        self.root = place / "root"
        self.before = self.look()

    def fresh(self, *, trapped: bool) -> Path:
        if self.root.exists():
            self.clear()
        self.root.mkdir()
        if trapped:  # what somebody left there leads outside
            (self.root / "a").symlink_to(self.outside)
            (self.root / "canary").symlink_to(self.outside / "canary")
            (self.root / "b").symlink_to("..")
        return self.root

    def look(self) -> list[tuple[str, int, int]]:
        """Everything beside the folder: names, sizes, times."""
        return [
            (str(path), path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in sorted(self.place.rglob("*"))
            if self.root not in (path, *path.parents) and path != self.place
        ]

    def inside(self) -> Iterator[os.stat_result]:
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                yield os.lstat(os.path.join(folder, name))

    def clear(self) -> None:
        for folder, _, _ in os.walk(self.root):
            os.chmod(folder, 0o755)
        shutil.rmtree(self.root)


def names(dice: random.Random, yard: Yard) -> bytes:
    """A name: harmless, leading outside by every way that there is, or no name at all."""
    outside = str(yard.outside)
    ways = (
        "index.py",
        "a/b/c.py",
        "a",
        "a/",
        "b/outside/x",
        "canary",
        "a/canary",
        "../outside/x",
        "a/../../outside/x",
        "a/../b.py",
        "./../outside/x",
        "..",
        ".",
        "./",
        "/",
        "//",
        "",
        f"{outside}/x",
        f"/{outside}/x",
        f"{outside}/canary",
        "..\\outside\\x",
        "C:\\x",
        "\\\\server\\x",
        "a\0/../../outside/x",
        "../outside/x\0.py",
        "a" * 256,
        "ä" * 130,
        "/".join("d" * 70),
        "a/" * 2500 + "b",
        "…/x",
        "\uff0e\uff0e/outside/x",
        "%2e%2e/outside/x",
        "a/./b.py",
        "a//b.py",
        "index.py/",
        "index.py/x",
        "nul",
        " ",
        "\n",
        "\x7f\x1b[2J",
        "~/x",
        "$HOME/x",
    )
    return dice.choice(ways).encode()


def entries(dice: random.Random, yard: Yard) -> Entry:
    """One entry, in which anything may be a lie."""
    entry = Entry(name=names(dice, yard), method=dice.choice((0, 8)), content=dice.randbytes(dice.choice((0, 1, 300))))
    lies = (
        {"mode": dice.choice((LINK, DEVICE, FIFO, SOCKET, SETUID, 0, stat.S_IFDIR | 0o777))},
        {"content": f"{yard.outside}/x".encode(), "mode": LINK},
        {"declared": dice.choice((0, 1, 2**31, 2**32 - 2))},
        {"packed": dice.choice((0, 1, 2**31, 2**32 - 2))},
        {"offset": dice.choice((0, 1, 30, 2**31, 2**32 - 2))},
        {"local_name": names(dice, yard)},
        {"flags": dice.choice((0, 1, 0x8, 0x40, 0x801, 0x2000))},
        {"method": dice.choice((1, 9, 12, 14, 93, 99))},
        {"version": dice.choice((0, 45, 63, 255))},
        {"content": bytes(dice.choice((LIMIT - 1, LIMIT + 1, 15 * LIMIT))), "method": 8},
        {"content": bytes(15 * LIMIT), "method": 8, "declared": 10},
    )
    for lie in dice.sample(lies, dice.choice((0, 0, 1, 1, 2))):
        entry = replace(entry, **lie)  # type: ignore[arg-type]
    return entry


def hostile(dice: random.Random, yard: Yard) -> bytes:
    """One archive."""
    some = [entries(dice, yard) for _ in range(dice.choice((1, 1, 2, 3, 8)))]
    data = archive(*some, *dice.sample(some, dice.choice((0, 0, 1))), count=dice.choice((None, None, 0, 1, 65535)))
    shape = dice.randrange(12)
    if shape == 0:
        data = data[: dice.randrange(len(data))]
    elif shape == 1:
        data = _zip64(dice, data)
    elif shape == 2:
        flipped = bytearray(data)
        for _ in range(dice.randrange(1, 6)):
            flipped[dice.randrange(len(flipped))] = dice.randrange(256)
        data = bytes(flipped)
    elif shape == 3:
        data = dice.randbytes(dice.randrange(200)) + data
    elif shape == 4:
        data += dice.randbytes(dice.randrange(200))
    return data


def _zip64(dice: random.Random, data: bytes) -> bytes:
    """A second end record, which says something else."""
    size = dice.choice((0, 44, 2**40, 2**63, 2**64 - 1))
    end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, size, size, size, dice.choice((0, len(data), size)))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, dice.choice((0, len(data) - 22, 2**63)), 1)
    return data[:-22] + end + locator + data[-22:]


def judged(data: bytes) -> bool:
    try:
        packaging.from_archive(memoryview(data))
    except InvalidCode as error:
        assert len(str(error)) < 1024
        return False
    return True


def unpacked(data: bytes, root: Path) -> str:
    """Why not, or nothing."""
    try:
        unpack(io.BytesIO(data), str(root), LIMIT)
    except BadArchive as error:
        return str(error) or "refused"
    except OSError as error:  # the disk's own refusals are worded by whoever calls
        return f"OSError {error.errno}"
    return ""


def test_no_hostile_archive_writes_outside_of_its_folder(tmp_path: Path) -> None:
    """Five thousand of them; nor does any leave a link, a special file or a program that runs as somebody else."""
    dice, yard = random.Random(4), Yard(tmp_path / "yard")
    outcomes, disagreements = Counter[tuple[bool, bool]](), []
    for number in range(ARCHIVES):
        data = hostile(dice, yard)
        trapped = number % 10 == 0
        good = judged(data)
        why = unpacked(data, yard.fresh(trapped=trapped))
        assert yard.look() == yard.before, f"archive {number} wrote outside"
        here = list(yard.inside())
        assert all(stat.S_ISREG(each.st_mode) or stat.S_ISDIR(each.st_mode) for each in here) or trapped
        assert not any(each.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX) for each in here)
        assert sum(each.st_size for each in here if stat.S_ISREG(each.st_mode)) <= LIMIT + PAST_LIMIT
        outcomes[good, not why] += 1
        if good and why and not trapped and not any(lie in why for lie in CONTENT_LIES):
            disagreements.append((number, why))
    assert sum(outcomes.values()) == ARCHIVES
    assert disagreements == [], f"accepted at first, refused later: {disagreements[:5]}"
    assert outcomes[False, False] > ARCHIVES / 2, outcomes
    assert outcomes[True, True] > 50, f"not one of them is harmless: nothing was tested: {outcomes}"


@pytest.mark.parametrize("declared", [None, 1, 2**32 - 2], ids=["honest", "says one byte", "says 4 GB"])
@pytest.mark.parametrize("entries_", [1, 50])
def test_a_bomb_stops_within_a_mebibyte_past_the_limit(tmp_path: Path, declared: int | None, entries_: int) -> None:
    """Sixty megabytes that deflate to sixty kilobytes: what is on the disk afterwards is counted."""
    content = bytes(60_000_000 // entries_)
    many = [Entry(b"%d" % each, content, method=8, declared=declared) for each in range(entries_)]
    data = archive(*many)
    yard = Yard(tmp_path / "yard")
    why = unpacked(data, yard.fresh(trapped=False))
    assert why
    assert sum(each.st_size for each in yard.inside() if stat.S_ISREG(each.st_mode)) <= LIMIT + PAST_LIMIT


def test_a_bomb_is_refused_before_it_is_stored() -> None:
    """By what it says of itself; one that lies is stopped where it is unpacked."""
    content = bytes(53_000_000)
    honest = archive(*(Entry(b"%d" % each, content, method=8) for each in range(5)))
    assert not judged(honest)


def test_a_hundred_thousand_files_and_one_more_are_refused(tmp_path: Path) -> None:
    """By both, and by the first before anything was made of each."""
    data = archive(*(Entry(b"%d" % each, b"") for each in range(100_001)))
    assert not judged(data)
    yard = Yard(tmp_path / "yard")
    assert "100000" in unpacked(data, yard.fresh(trapped=False))
    assert not list(yard.inside())


def test_overlapping_entries_are_refused() -> None:
    """The bomb whose entries share one kernel of data: no reader of one of them would see it."""
    kernel = Entry(b"kernel", bytes(1_000_000), method=8)
    data = archive(kernel, *(replace(kernel, name=b"%d" % each, offset=0) for each in range(200)))
    assert not judged(data)


def test_what_ordinary_tools_write_passes_both(tmp_path: Path) -> None:
    """Folders, deflated files, programs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.mkdir("pkg")
        writer.writestr("pkg/__init__.py", "x = 1\n")
        writer.writestr("index.py", "from pkg import x\n")
    assert judged(buffer.getvalue())
    yard = Yard(tmp_path / "yard")
    assert unpacked(buffer.getvalue(), yard.fresh(trapped=False)) == ""
    assert (yard.root / "pkg" / "__init__.py").read_text() == "x = 1\n"
