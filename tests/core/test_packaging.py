"""What becomes of code: deterministic archives for inline source, archives kept byte for byte, hostile ones refused."""

from __future__ import annotations

import base64
import hashlib
import io
import mmap
import stat
import struct
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.lying_archives import Entry, archive

from lambent.core import archives, packaging
from lambent.model import limits
from lambent.model.errors import InvalidCode
from lambent.model.functions import Code

SOURCE = "def handler(event, context):\n    return event\n"


def sent(data: bytes) -> Code:
    """The specification a user would send. Not validated: a longer one than etcd takes comes by the API one day."""
    return Code.model_construct(inline=None, zip_file=base64.b64encode(data).decode())


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidCode) as caught:
        packaging.package(sent(data), "python3.11")
    return str(caught.value)


class TestInlineSource:
    @pytest.mark.parametrize(("runtime", "file"), [("python3.11", "index.py"), ("nodejs22.x", "index.js")])
    def test_becomes_one_readable_file_with_the_runtimes_name(self, runtime: str, file: str) -> None:
        made = packaging.package(Code(inline=SOURCE), runtime)
        with zipfile.ZipFile(io.BytesIO(made.data)) as opened:
            (entry,) = opened.infolist()
            assert (entry.filename, opened.read(entry).decode()) == (file, SOURCE)
            assert stat.S_IMODE(entry.external_attr >> 16) == 0o644

    def test_always_becomes_the_same_bytes(self) -> None:
        """A changed digest would replace every environment: this one may never change."""
        made = packaging.package(Code(inline=SOURCE), "python3.11")
        assert made.sha256_hex == "01b87299b4cc70575333fa55635625d6d9f1c3e8e04fa045a54cabe0c2fe36f3"

    @given(st.text(min_size=1, max_size=500))
    def test_any_text_survives_and_its_own_archive_is_accepted(self, source: str) -> None:
        made = packaging.package(Code.model_construct(inline=source), "python3.12")
        with zipfile.ZipFile(io.BytesIO(made.data)) as opened:
            assert opened.read("index.py").decode() == source
        assert packaging.package(sent(made.data), "python3.12") == made

    @pytest.mark.parametrize("runtime", ["provided.al2023", "cobol74"])
    def test_is_refused_for_runtimes_without_inline_code(self, runtime: str) -> None:
        with pytest.raises(InvalidCode, match=f"runtime {runtime} takes no inline code"):
            packaging.package(Code(inline=SOURCE), runtime)

    def test_is_refused_when_it_is_no_text(self) -> None:
        with pytest.raises(InvalidCode, match="no valid text"):
            packaging.package(Code.model_construct(inline="x = '\ud800'"), "python3.11")


def test_code_without_any_source_is_refused() -> None:
    with pytest.raises(InvalidCode, match="exactly one of"):
        packaging.package(Code.model_construct(inline=None, zip_file=None), "python3.11")


GOOD = {
    "stored": archive(Entry()),
    "deflated": archive(Entry(method=8, content=b"x" * 10_000)),
    "folders": archive(Entry(b"a/", b"", mode=stat.S_IFDIR | 0o755), Entry(b"a/b.py"), Entry(b"a-b.py")),
    "a folder twice": archive(Entry(b"a/", b""), Entry(b"a/", b""), Entry(b"a/b.py")),
    "bsdtar's leading dot": archive(Entry(b"./", b"", mode=stat.S_IFDIR), Entry(b"./index.py")),
    "no unix mode (made on Windows)": archive(Entry(mode=0)),
    "executable": archive(Entry(b"bootstrap", mode=stat.S_IFREG | 0o755)),
    "dots in a name": archive(Entry(b"..index..py"), Entry(b"...")),
    "a comment": archive(Entry(), comment=b"made by hand"),
    "a shebang before it (zipapp)": b"#!/usr/bin/env python3\n" + archive(Entry()),
    "an archive stored inside": archive(Entry(b"lib.jar", archive(Entry(), Entry(b"b.py")))),
    "names in UTF-8": archive(Entry("größe/ß.py".encode())),
    "names in cp437": archive(Entry("größe.py".encode("cp437"), flags=0)),
    "a lying count": archive(Entry(), Entry(b"b.py"), count=7),
}


class TestUploadedArchive:
    @pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
    def test_is_kept_byte_for_byte(self, data: bytes) -> None:
        made = packaging.package(sent(data), "python3.11")
        digest = hashlib.sha256(data)
        unzipped = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(data)).infolist())
        text = base64.b64encode(digest.digest()).decode()
        assert made == packaging.Package(data, digest.hexdigest(), text, len(data), unzipped)

    @given(
        st.dictionaries(st.text("abc_.é", min_size=3, max_size=8), st.binary(max_size=2000), min_size=1),
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    )
    def test_of_any_shape_that_zipfile_writes_is_accepted(self, files: dict[str, bytes], method: int) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as writer:
            for name, content in files.items():
                writer.writestr(f"pkg/{name}", content)
        assert packaging.package(sent(buffer.getvalue()), "python3.11").data == buffer.getvalue()

    def test_written_as_a_stream_is_accepted(self) -> None:
        """Data descriptors: the local headers hold no sizes."""

        class Pipe(io.RawIOBase):
            def __init__(self) -> None:
                self.written = b""

            def writable(self) -> bool:
                return True

            def write(self, data: bytes) -> int:
                self.written += bytes(data)
                return len(data)

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as writer:
            writer.writestr("index.py", SOURCE)
            writer.writestr("b.py", SOURCE)
        assert packaging.package(sent(pipe.written), "python3.11").size == len(pipe.written)

    @pytest.mark.parametrize(
        ("text", "why"),
        {
            "no base64 at all": ("ß" * 8, "not base64"),
            "outside of the alphabet": ("QUJD!BBQ", "not base64"),
            "wrong padding": ("QUJDQ", "not base64"),
            "line breaks": ("QUJD\nBBQA", "base64 -w0"),
            "bytes behind the padding": ("QUI=QUJD", "not base64"),
        }.values(),
    )
    def test_is_refused_unless_strict_base64(self, text: str, why: str) -> None:
        with pytest.raises(InvalidCode, match=why) as caught:
            packaging.package(Code(zip_file=text), "python3.11")
        assert str(caught.value).startswith(packaging.UNREADABLE)


LINK, DEVICE = stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o600
HOSTILE = {
    "no archive": (b"hello", "not a zip file"),
    "only an end": (archive(), packaging.EMPTY),
    "nothing": (b"", packaging.EMPTY),
    "absolute path": (archive(Entry(b"/etc/passwd")), "absolute path"),
    "parent folder": (archive(Entry(b"a/../../b")), "leaves the folder"),
    "parent folder alone": (archive(Entry(b"..")), "leaves the folder"),
    "symbolic link": (archive(Entry(b"link", b"/etc/passwd", mode=LINK)), "symbolic link"),
    "device": (archive(Entry(b"null", b"", mode=DEVICE)), "neither a file nor a folder"),
    "file twice": (archive(Entry(), Entry()), "there twice"),
    "file twice under two spellings": (archive(Entry(), Entry(b".//index.py")), "there twice"),
    "file and folder": (archive(Entry(b"a"), Entry(b"a-b"), Entry(b"a/b")), "'a' is both a file and a folder"),
    "file and empty folder": (archive(Entry(b"a/", b""), Entry(b"a")), "both a file and a folder"),
    "NUL in a name": (archive(Entry(b"index.py\0.txt")), "NUL"),
    "no name": (archive(Entry(b"")), "no name"),
    "name of a dot": (archive(Entry(b".")), "no name"),
    "name over NAME_MAX": (archive(Entry(b"a" * 256)), "bytes"),
    "path over PATH_MAX": (archive(Entry(b"a/" * 2100 + b"b")), "bytes"),
    "path over the agent's depth": (archive(Entry(b"a/" * 64 + b"b")), "64 folders deep"),
    "backslashes for separators": (archive(Entry(b"..\\..\\b")), "backslash"),
    "name that is not UTF-8": (archive(Entry(b"\xff\xfe")), "decode"),
    "encrypted": (archive(Entry(flags=0x801)), "encrypted"),
    "strongly encrypted": (archive(Entry(flags=0x841)), "encrypted"),
    "unknown method": (archive(Entry(method=14)), "method 14"),
    "unknown version": (archive(Entry(version=99)), "version"),
    "stored with two sizes": (archive(Entry(declared=99)), "two different sizes"),
    "bomb by declaration": (archive(Entry(method=8, declared=2**32 - 2)), packaging.TOO_LARGE_UNZIPPED),
    "bomb by many": (
        archive(*(Entry(b"%d" % number, method=8, declared=60 * limits.MIB) for number in range(5))),
        packaging.TOO_LARGE_UNZIPPED,
    ),
    "bomb by overlap": (archive(Entry(b"a"), Entry(b"a", offset=0)), "there twice"),
    "overlap": (archive(Entry(b"a", local_name=b"b"), Entry(b"b", offset=0)), "overlaps|differs"),
    "overlapping contents": (
        archive(Entry(b"a", content=Entry(b"b").local()), Entry(b"b", offset=31)),
        "overlaps",
    ),
    "other name in the local header": (archive(Entry(local_name=b"other.py")), "differs"),
    "local header missing": (archive(Entry(offset=3)), "differs"),
    "offset behind the end": (archive(Entry(offset=2**31)), "outside"),
    "cut short": (archive(Entry(method=8, packed=10_000)), "cut short"),
    "directory behind the file": (archive(Entry())[:-10], "not a zip file"),
    "directory longer than the file": (
        archive(Entry())[:-10] + struct.pack("<IIH", 2**31, 0, 0),
        "Bad|bad|Corrupt|not a zip",
    ),
}


class TestHostileArchive:
    @pytest.mark.parametrize(("data", "why"), HOSTILE.values(), ids=HOSTILE.keys())
    def test_is_refused_and_told_why(self, data: bytes, why: str) -> None:
        said = refusal(data)
        assert any(part in said for part in why.split("|")), said
        if why not in (packaging.EMPTY, packaging.TOO_LARGE_UNZIPPED):
            assert said.startswith(packaging.UNREADABLE)

    def test_over_fifty_megabytes_is_refused_before_it_is_read(self) -> None:
        said = refusal(archive(Entry(content=bytes(limits.ZIP_BYTES_MAX))))
        assert said.startswith(packaging.TOO_LARGE_ZIPPED)

    @pytest.mark.parametrize("zip64", [False, True])
    def test_with_too_many_entries_is_refused_before_any_is_made(
        self, zip64: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def opened(*_: object) -> None:
            raise AssertionError("zipfile saw it")

        monkeypatch.setattr(archives, "ENTRIES_MAX", 100)
        monkeypatch.setattr(zipfile.ZipFile, "__init__", opened)
        data = archive(*(Entry(b"%d" % number, b"") for number in range(101)), count=1)
        if zip64:
            end = struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
            data = data[:-22] + end + data[-22:]
        assert "more than 100 entries" in refusal(data)

    def test_of_the_most_entries_is_accepted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "ENTRIES_MAX", 100)
        nested = archive(*(Entry(b"%d" % number, b"") for number in range(60)))
        data = archive(Entry(b"a.jar", nested), *(Entry(b"%d" % number, b"") for number in range(99)))
        assert packaging.package(sent(data), "python3.11").size == len(data)

    def test_never_names_more_than_fits_a_condition(self) -> None:
        assert len(refusal(archive(Entry(b"a/" * 2000 + b"..")))) < 1024

    def test_with_deep_folders_costs_no_more_than_its_size(self) -> None:
        """A set of every parent folder would cost many times that, and more with the square of the depth."""
        data = archive(*(Entry(b"%03d/" % number + b"d/" * 60 + b"f" * 200, b"") for number in range(1000)))
        code = sent(data)
        tracemalloc.start()
        packaging.package(code, "python3.11")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 20 * len(data)

    @settings(max_examples=150)
    @given(st.data())
    def test_made_by_flipping_bytes_is_refused_or_can_be_listed(self, data: st.DataObject) -> None:
        good = bytearray(GOOD[data.draw(st.sampled_from(sorted(GOOD)))])
        for _ in range(data.draw(st.integers(1, 4))):
            good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
        self.judge(bytes(good))

    @settings(max_examples=150)
    @given(
        st.lists(
            st.builds(
                replace,
                st.just(Entry()),
                name=st.text("ab./\0", max_size=8).map(str.encode),
                mode=st.sampled_from([0, LINK, DEVICE, stat.S_IFREG]),
                declared=st.one_of(st.none(), st.integers(0, 2**32 - 2)),
                packed=st.one_of(st.none(), st.integers(0, 2**32 - 2)),
                offset=st.one_of(st.none(), st.integers(0, 300)),
                method=st.sampled_from([0, 8, 12]),
                flags=st.sampled_from([0, 1, 0x800]),
            ),
            max_size=4,
        )
    )
    def test_made_of_lying_entries_is_refused_or_stays_in_its_folder(self, entries: list[Entry]) -> None:
        self.judge(archive(*entries))

    @settings(max_examples=150)
    @given(st.binary(max_size=300), st.sampled_from([b"", b"PK\3\4", b"PK\5\6", b"PK\1\2"]))
    def test_made_of_noise_raises_nothing_but_invalid_code(self, noise: bytes, start: bytes) -> None:
        self.judge(start + noise)
        self.judge(noise + archive(Entry())[-22:])

    @staticmethod
    def judge(data: bytes) -> None:
        try:
            packaging.package(sent(data), "python3.11")
        except InvalidCode as error:
            assert len(str(error)) < 1024
            return
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            for entry in opened.infolist():
                assert not entry.orig_filename.startswith("/")
                assert ".." not in entry.orig_filename.split("/")
                assert not stat.S_ISLNK(entry.external_attr >> 16)
            assert sum(entry.file_size for entry in opened.infolist()) <= limits.UNZIPPED_BYTES_MAX


def accepts(names: list[bytes]) -> bool:
    try:
        packaging.package(sent(archive(*(Entry(name, b"") for name in names))), "python3.11")
    except InvalidCode:
        return False
    return True


@settings(max_examples=200)
@given(st.lists(st.text("ab-/", min_size=1, max_size=6).map(str.encode), min_size=1, max_size=6))
def test_a_tree_is_accepted_exactly_when_an_empty_folder_can_hold_it(names: list[bytes]) -> None:
    """Against a model that puts the entries into a dictionary of folders, one after the other."""

    def holds() -> bool:
        kinds: dict[tuple[bytes, ...], bool] = {}
        for name in names:
            parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
            is_folder = name.endswith(b"/")
            if name.startswith(b"/") or (not parts and not is_folder) or (kinds.get(parts) is False):
                return False
            if not is_folder and parts in kinds:
                return False
            for depth in range(1, len(parts)):
                if kinds.setdefault(parts[:depth], True) is False:
                    return False
            kinds[parts] = is_folder
        return True

    assert accepts(names) == holds()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def files_of(made: packaging.Package | None) -> dict[str, bytes]:
    assert made is not None
    with zipfile.ZipFile(io.BytesIO(made.data)) as opened:
        return {entry.filename: opened.read(entry) for entry in opened.infolist()}


class TestConfigMap:
    def test_without_a_key_is_a_folder_of_its_entries(self) -> None:
        """Text and binary alike; the same bytes whatever order the API server tells them in."""
        texts, binaries = {"index.py": SOURCE, "b.txt": "größe"}, {"lib.so": encoded(b"\0\xff")}
        made = packaging.from_config_map(None, texts, binaries, "python3.11")
        assert files_of(made) == {"b.txt": "größe".encode(), "index.py": SOURCE.encode(), "lib.so": b"\0\xff"}
        assert packaging.from_config_map(None, dict(reversed(texts.items())), binaries, "python3.11") == made

    def test_of_an_inline_source_has_the_digest_of_inline_code(self) -> None:
        """Moving a source into a ConfigMap replaces no environment."""
        inline = packaging.package(Code(inline=SOURCE), "python3.11")
        assert packaging.from_config_map("anything", {"anything": SOURCE}, {}, "python3.11") == inline
        assert packaging.from_config_map(None, {"index.py": SOURCE}, {}, "python3.11") == inline

    def test_with_a_key_of_binary_data_is_that_archive(self) -> None:
        """Byte for byte."""
        data = archive(Entry())
        made = packaging.from_config_map("code.zip", {"other": "x"}, {"code.zip": encoded(data)}, "provided")
        assert made is not None
        assert made.data == data

    def test_without_the_key_is_nothing_yet(self) -> None:
        """It may come."""
        assert packaging.from_config_map("code.zip", {"other": "x"}, {}, "python3.11") is None

    def test_makes_bootstrap_executable(self) -> None:
        """A ConfigMap has no modes, and a custom runtime is executed."""
        made = packaging.from_config_map(None, {"bootstrap": "#!/bin/sh", "x.sh": ""}, {}, "provided.al2023")
        assert made is not None
        with zipfile.ZipFile(io.BytesIO(made.data)) as opened:
            modes = {entry.filename: stat.S_IMODE(entry.external_attr >> 16) for entry in opened.infolist()}
        assert modes == {"bootstrap": 0o755, "x.sh": 0o644}

    @pytest.mark.parametrize(
        ("key", "texts", "binaries", "words"),
        [
            (None, {}, {}, "the ConfigMap is empty"),
            (None, {"..": "x"}, {}, "leaves the folder"),
            (None, {".": "x"}, {}, "has no name"),
            (None, {}, {"a": "?"}, "binaryData of key a is not base64"),
            ("a", {}, {"a": encoded(b"no zip")}, "not a zip file"),
            ("a", {}, {"a": encoded(b"")}, packaging.EMPTY),
            ("a", {"a": "x"}, {}, "takes no inline code; give a zip archive in binaryData"),
        ],
    )
    def test_that_is_no_code_is_refused(
        self, key: str | None, texts: dict[str, str], binaries: dict[str, str], words: str
    ) -> None:
        """Whatever the API server lets through."""
        with pytest.raises(InvalidCode, match=words):
            packaging.from_config_map(key, texts, binaries, "provided.al2023")


class TestFetchedArchive:
    def test_is_judged_where_it_lies(self, tmp_path: Path) -> None:
        """A mapped file is not copied: 40 MB of content cost next to nothing."""
        data = archive(Entry(content=bytes(40 * limits.MIB)))
        (tmp_path / "a.zip").write_bytes(data)
        with (tmp_path / "a.zip").open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            tracemalloc.start()
            made = packaging.from_archive(view)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert (made.size, made.sha256_hex) == (len(data), hashlib.sha256(data).hexdigest())
        assert most < limits.MIB

    def test_may_be_larger_than_an_uploaded_one(self) -> None:
        """Lambda's 50 MB are for uploads; from S3 it takes what is within its limit unzipped."""
        data = archive(Entry(content=bytes(limits.ZIP_BYTES_MAX)))
        assert packaging.from_archive(memoryview(data)).size == len(data)

    @pytest.mark.parametrize(("data", "why"), HOSTILE.values(), ids=HOSTILE.keys())
    def test_is_refused_like_an_uploaded_one(self, data: bytes, why: str) -> None:
        """It makes no difference where it came from."""
        with pytest.raises(InvalidCode) as caught:
            packaging.from_archive(memoryview(data))
        assert any(part in str(caught.value) for part in why.split("|"))
