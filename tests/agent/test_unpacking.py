"""Archives, good and hostile: what is written, and that nothing is ever written elsewhere."""

import io
import os
import shutil
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.agent.unpacking import BadArchive, merge, unpack

LINK = (stat.S_IFLNK | 0o777) << 16


def archive(*entries: tuple[str, bytes, int]) -> io.BytesIO:
    """A zip of (name, content, external attributes), names written as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content, attributes in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name
            info.external_attr = attributes
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, content)
    buffer.seek(0)
    return buffer


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "outer" / "root"
    folder.mkdir(parents=True)
    return folder


def everything_outside(root: Path) -> list[str]:
    outer = root.parent
    return sorted(str(path.relative_to(outer)) for path in outer.rglob("*") if root not in (path, *path.parents))


def test_files_folders_and_executable_bits_are_kept(root):
    """Readable by all whatever the packer's umask was; nothing writable."""
    mode = stat.S_IFREG << 16
    written = unpack(
        archive(
            ("app.py", b"print()", mode | 0o600 << 16),
            ("bin/", b"", 0o755 << 16),
            ("bin/tool", b"#!", mode | 0o700 << 16),
            ("a/b/c.txt", b"deep", 0),
        ),
        str(root),
    )
    assert written == 13
    seen = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert seen == {"app.py": 0o444, "bin": 0o555, "bin/tool": 0o555, "a": 0o555, "a/b": 0o555, "a/b/c.txt": 0o444}
    assert stat.S_IMODE(root.stat().st_mode) == 0o555
    assert (root / "a/b/c.txt").read_bytes() == b"deep"


REFUSED = {
    "parent": [("../evil", b"x", 0)],
    "parent in the middle": [("a/../../evil", b"x", 0)],
    "parent that stays inside": [("a/../b", b"x", 0)],
    "absolute": [("/evil", b"x", 0)],
    "double slash": [("//evil", b"x", 0)],
    "backslash": [("..\\evil", b"x", 0)],
    "NUL": [("a\0b", b"x", 0)],
    "symlink": [("link", b"/etc/passwd", LINK)],
    "symlink, then through it": [("link", b"..", LINK), ("link/evil", b"x", 0)],
    "device": [("null", b"", (stat.S_IFCHR | 0o666) << 16)],
    "pipe": [("pipe", b"", (stat.S_IFIFO | 0o666) << 16)],
    "twice": [("a", b"1", 0), ("a", b"2", 0)],
    "twice, differently written": [("a/b", b"1", 0), ("a//./b", b"2", 0)],
    "file used as folder": [("a", b"1", 0), ("a/b", b"2", 0)],
    "folder used as file": [("a/b", b"1", 0), ("a", b"2", 0)],
    "name too long": [("n" * 256, b"x", 0)],
    "too deep": [("d/" * 65 + "f", b"x", 0)],
    "nothing but dots": [(".", b"x", 0)],
}


@pytest.mark.parametrize("entries", REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_entry_is_refused(root, entries):
    """BadArchive, and nothing outside the root."""
    with pytest.raises(BadArchive):
        unpack(archive(*entries), str(root))
    assert everything_outside(root) == []


def test_a_link_that_is_already_there_is_not_followed(root):
    """Descriptors, not strings: a link planted beforehand leads nowhere."""
    (root / "a").symlink_to(root.parent)
    with pytest.raises(BadArchive):
        unpack(archive(("a/evil", b"x", 0)), str(root))
    (root / "f").symlink_to(root.parent / "evil")
    with pytest.raises(BadArchive):
        unpack(archive(("f", b"x", 0)), str(root))
    assert everything_outside(root) == []


def test_a_bomb_stops_at_the_limit(root):
    """Counted while writing: at most one piece past the limit reaches the disk."""
    limit = 1024 * 1024
    with pytest.raises(BadArchive, match="larger than 1048576"):
        unpack(archive(("bomb", b"\0" * (50 * limit), 0)), str(root), limit)
    assert (root / "bomb").stat().st_size <= limit + 256 * 1024


def test_a_bomb_with_a_lying_header_stops_too(root):
    """The size in the headers is not believed: whatever it says, the limit or the zip's checks end it."""
    data = bytearray(archive(("bomb", b"\0" * 5_000_000, 0)).getvalue())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(signature) + offset
        data[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(BadArchive):
        unpack(io.BytesIO(bytes(data)), str(root), 1_000_000)
    assert sum(path.stat().st_size for path in root.rglob("*")) <= 1_256_000


def test_of_several_archives_a_later_file_replaces_an_earlier_one(root):
    """Layers in their order: modes are those of the one that won, everything else stays."""
    mode = stat.S_IFREG << 16
    written = merge(
        iter(
            (
                archive(("bin/tool", b"first", mode | 0o644 << 16), ("bin/other", b"stays", mode | 0o755 << 16)),
                archive(("bin/", b"", 0o755 << 16), ("bin/tool", b"#!second", mode | 0o755 << 16)),
                archive(("lib/a", b"x", 0), ("bin/third", b"y", 0)),
            )
        ),
        str(root),
    )
    assert written == 5 + 5 + 8 + 2
    seen = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert seen == {
        "bin": 0o555,
        "bin/tool": 0o555,
        "bin/other": 0o555,
        "bin/third": 0o444,
        "lib": 0o555,
        "lib/a": 0o444,
    }
    assert (root / "bin/tool").read_bytes() == b"#!second"
    assert stat.S_IMODE(root.stat().st_mode) == 0o555


def test_a_replaced_file_is_another_file(root):
    """Whoever has the first one open, or under another name, keeps it: nothing is written over."""
    (root / "kept").mkdir()

    def archives():
        yield archive(("a", b"first", 0))
        os.link(root / "a", root / "kept" / "a")
        yield archive(("a", b"second", 0))

    merge(archives(), str(root))
    assert ((root / "a").read_bytes(), (root / "kept" / "a").read_bytes()) == (b"second", b"first")


MERGES_REFUSED = {
    "a file where a folder is": ([("a/b", b"1", 0)], [("a", b"2", 0)], "is both a file and a folder"),
    "a folder where a file is": ([("a", b"1", 0)], [("a/b", b"2", 0)], "goes through a file or link"),
    "twice in the second": ([("a", b"1", 0)], [("a", b"2", 0), ("a", b"3", 0)], "is there twice"),
    "a link in the second": ([("a", b"1", 0)], [("a", b"/etc/passwd", LINK)], "is a link"),
    "out of the second": ([("a", b"1", 0)], [("../a", b"2", 0)], "leads out"),
}


@pytest.mark.parametrize(("first", "second", "words"), MERGES_REFUSED.values(), ids=MERGES_REFUSED)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_no_archive_may_do_a_second_one_may_not(root, first, second, words):
    """Replacing is for files that an earlier archive brought, and for nothing else."""
    with pytest.raises(BadArchive, match=words):
        merge((archive(*first), archive(*second)), str(root))
    assert everything_outside(root) == []


def test_what_was_there_before_is_never_replaced(root):
    """It is nobody's layer: a link that was planted, or a file of somebody else."""
    outside = root.parent / "outside"
    outside.write_bytes(b"untouched")
    (root / "a").symlink_to(outside)
    (root / "b").write_bytes(b"mine")
    for name in ("a", "b"):
        with pytest.raises(BadArchive, match="there twice"):
            merge((archive(("c", b"x", 0)), archive((name, b"y", 0))), str(root))
        (root / "c").unlink()
    assert (outside.read_bytes(), (root / "b").read_bytes()) == (b"untouched", b"mine")


def test_a_file_that_was_swapped_for_a_link_is_only_unlinked(root):
    """Between two layers something of the same user may write: the name is taken away, what it leads to stays."""
    outside = root.parent / "outside"
    outside.write_bytes(b"untouched")

    def archives():
        yield archive(("a", b"first", 0))
        (root / "a").unlink()
        (root / "a").symlink_to(outside)
        yield archive(("a", b"second", 0))

    merge(archives(), str(root))
    assert outside.read_bytes() == b"untouched"
    assert (root / "a").read_bytes() == b"second"
    assert not (root / "a").is_symlink()


def test_archives_share_one_limit(root):
    """What was replaced counts: it was written."""
    with pytest.raises(BadArchive, match="larger than 1000"):
        merge((archive(("a", bytes(600), 0)), archive(("a", bytes(401), 0))), str(root), 1000)


BROKEN = {
    "empty": b"",
    "no zip": b"PK but not really" * 10,
    "cut off": archive(("a", b"x" * 1000, 0)).getvalue()[:-30],
    "damaged": archive(("a", bytes(range(256)) * 40, 0)).getvalue().replace(bytes(range(64, 80)), bytes(16), 1)[:60]
    + b"\xff" * 400,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_zip_is_refused(root, data):
    """With one class of error, whatever zipfile raises."""
    with pytest.raises(BadArchive):
        unpack(io.BytesIO(data), str(root))


NAMES = st.one_of(
    st.text("ab./\\\0", min_size=1, max_size=12),
    st.sampled_from(["../x", "a/../../x", "/x", "l", "l/x", "a", "a/", "a/b", "./a", "..", "x/.."]),
)
ENTRIES = st.lists(
    st.tuples(NAMES, st.binary(max_size=30), st.sampled_from([0, LINK, 0o755 << 16, stat.S_IFDIR << 16])),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(ENTRIES, st.integers(0, 400), st.integers(0, 255))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_archive_writes_outside_its_root(entries, place, value):
    """Whatever is in it, also with one byte changed anywhere: it unpacks inside or is a BadArchive."""
    outer = Path(tempfile.mkdtemp())
    root = outer / "root"
    root.mkdir()
    data = bytearray(archive(*entries).getvalue())
    if place < len(data):
        data[place] = value
    try:
        unpack(io.BytesIO(bytes(data)), str(root))
    except BadArchive:
        pass
    try:
        assert everything_outside(root) == []
        assert not [path for path in root.rglob("*") if path.is_symlink()]
    finally:
        for folder, _, _ in os.walk(root):
            os.chmod(folder, 0o755)
        shutil.rmtree(outer)
