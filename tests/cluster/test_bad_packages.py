"""Archives that should not be, each through the whole way: refused with words, or harmless in a real pod."""

from __future__ import annotations

import base64
import io
import stat
import zipfile

import pytest
from driving import eventually, zipped

APP = ("app.py", "def run(e, c): return 1\n")
MIB = 1 << 20


def archive(*entries) -> str:
    """A zip of (name or ZipInfo, content), base64."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in entries:
            writer.writestr(name, content, zipfile.ZIP_DEFLATED)
    return base64.b64encode(buffer.getvalue()).decode()


def link(name: str, target: str):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry, target


BAD = {
    "a zip bomb": (
        lambda: archive(APP, ("bomb", bytes(300 * MIB))),
        "Unzipped size must be smaller than 262144000 bytes",
    ),
    "an absolute entry": (lambda: archive(APP, ("/etc/cron.d/evil", "x")), "/etc/cron.d/evil"),
    "an entry that climbs": (lambda: archive(APP, ("a/../../evil", "x")), "a/../../evil"),
    "a symlink": (lambda: archive(APP, link("evil", "/etc/passwd")), "evil"),
    "one name twice": (lambda: archive(APP, APP), "app.py"),
    "a file that is a folder too": (lambda: archive(APP, ("app.py/x", "y")), "app.py"),
    "nothing": (archive, "non-empty"),
    "half an archive": (
        lambda: base64.b64encode(base64.b64decode(zipped(dict([APP])))[:60]).decode(),
        "Could not unzip uploaded file",
    ),
}


@pytest.mark.parametrize("row", BAD.values(), ids=BAD)
def test_a_bad_archive_is_stalled_with_words_and_makes_no_pod(driver, row):
    """And a better one heals the function."""
    build, words = row
    name = driver.apply(handler="app.run", code={"zipFile": build()})
    stalled = eventually(lambda: driver.condition(name, "Stalled"))
    assert stalled["reason"] == "InvalidCode"
    assert words in stalled["message"]
    assert not driver.pods(name)
    driver.function(name=name, handler="app.run", code={"zipFile": zipped(dict([APP]))})
    assert driver.invoke(name).json == 1


def test_an_archive_of_thousands_of_files_runs(driver):
    """Not bad, only large: what the limits allow is unpacked."""
    name = driver.function(handler="app.run", code={"zipFile": archive(APP, *((f"d/{n}", "x") for n in range(5000)))})
    assert driver.invoke(name).json == 1


def test_uploaded_files_are_read_only_and_never_set_uid(driver):
    """Modes come from the archive as far as they are sane: /var/task is not written to."""
    entry = zipfile.ZipInfo("tool")
    entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o6755) << 16
    source = ("app.py", "import os\ndef run(e, c): return oct(os.stat('tool').st_mode)\n")
    name = driver.function(handler="app.run", code={"zipFile": archive(source, (entry, "#!/bin/sh\n"))})
    assert driver.invoke(name).json == "0o100555"


NAMES = {"64 characters": "A" * 32 + "b_" * 16, "upper case and underscores": "Order_Handler-V2", "digits": "0123"}


@pytest.mark.parametrize("function_name", NAMES.values(), ids=NAMES)
def test_lambdas_names_work_where_kubernetes_has_none(driver, function_name):
    """functionName is invoked, the object is named as Kubernetes likes it."""
    name = driver.function("def handler(e, c): return c.function_name\n", functionName=function_name)
    assert driver.invoke(function_name).json == function_name
    arn = driver.get(name)["status"]["functionArn"]
    assert arn.endswith(f":function:{function_name}")
    assert driver.invoke(arn).json == function_name
