"""The agent's parts on their own: memory figures, faults, fetching, patience, hardening."""

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.agent.driving import ROOT

from lambent.agent.connections import Connection
from lambent.agent.faults import exited, timed_out
from lambent.agent.fetching import CodeUnavailable, fetch
from lambent.agent.hardening import has_users_of_its_own
from lambent.agent.lifecycle import Lifecycle
from lambent.agent.memory import CgroupMeter, ResidentMeter
from lambent.agent.protocol.claims import Code
from lambent.agent.protocol.refusals import NotIdle
from lambent.agent.reports import Report
from lambent.agent.settings import Settings
from lambent.agent.unpacking import BadArchive

CGROUPS = {
    "version 2": {"memory.peak": "52428800\n", "memory.events": "low 0\noom 1\noom_kill 2\n"},
    "version 1": {
        "memory/memory.max_usage_in_bytes": "52428800\n",
        "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    },
    "version 2 of an old kernel": {"memory.current": "52428800\n", "memory.events": "oom_kill 2\n"},
}


@pytest.mark.parametrize("files", CGROUPS.values(), ids=CGROUPS)
def test_memory_is_read_from_the_cgroup(tmp_path, files):
    """Both versions: the peak, and how often the kernel killed."""
    (tmp_path / "memory").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    meter = CgroupMeter(str(tmp_path))
    assert (meter.max_used_mb(), meter.oom_kills()) == (50, 2)


def test_memory_without_a_cgroup_is_what_is_resident():
    """Of the watched process; an ended one keeps its last figure."""
    meter = ResidentMeter()
    assert meter.max_used_mb() == 0
    meter.watch(os.getpid())
    most = meter.max_used_mb()
    assert most > 5
    meter.watch(2**22 - 1)
    assert meter.max_used_mb() == most


def test_out_of_memory_is_told_apart_in_the_report_only():
    """The caller sees Runtime.ExitError, REPORT says Runtime.OutOfMemory."""
    fault = exited(-9, out_of_memory=True)
    assert fault.payload("id") == (
        b'{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: signal: killed"}'
    )
    line = Report("id", 1.0, 1, 128, 128, None, fault).line()
    assert line.endswith(b"Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory\t\n")
    assert timed_out(3000).payload("id").endswith(b'Error: Task timed out after 3.00 seconds"}')


def test_a_drained_environment_takes_nothing_new():
    """Neither claim nor invocation."""
    lifecycle = Lifecycle()
    lifecycle.draining = True
    with pytest.raises(NotIdle):
        lifecycle.claim("c", "r")
    with pytest.raises(NotIdle):
        lifecycle.invoke("r")


BODY = b"the zip" * 1000


class Store(BaseHTTPRequestHandler):
    """A code store with every fault there is."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/missing":
            self.send_response(404)
            self.send_header("Content-Length", "0")
        else:
            self.send_response(200)
            self.send_header("Content-Length", "99999999" if self.path == "/large" else str(len(BODY)))
        self.end_headers()
        if self.path == "/cut":
            self.wfile.write(BODY[:10])
            self.close_connection = True
        elif self.path == "/large":
            try:
                for _ in range(100):
                    self.wfile.write(b"\0" * 1_000_000)
            except OSError:
                pass
            self.close_connection = True
        elif self.path != "/missing":
            self.wfile.write(BODY)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture(scope="module")
def store():
    server = HTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def code(url: str, body: bytes = BODY) -> Code:
    return Code(hashlib.sha256(body).hexdigest(), len(body), url=url)


def test_code_is_fetched_and_verified(store):
    """The bytes that were promised."""
    with fetch(code(store + "/good?exp=1&sig=2")) as archive:
        assert archive.read() == BODY


FETCHING = {
    "another digest": ("/good", b"other" * 1400, BadArchive, "SHA-256"),
    "not there": ("/missing", BODY, CodeUnavailable, "404"),
    "cut off": ("/cut", BODY, CodeUnavailable, "too early"),
    "too large": ("/large", BODY, BadArchive, "larger than"),
}


@pytest.mark.parametrize(("path", "promised", "error", "words"), FETCHING.values(), ids=FETCHING)
def test_what_the_store_does_wrong_is_named(store, path, promised, error, words):
    """The store's fault or the zip's: another environment may try again or not."""
    with pytest.raises(error, match=words):
        fetch(code(store + path, promised))


@pytest.mark.parametrize(
    "url", ["https://x/", "file:///etc/passwd", "http://a b/", "http://x/\r\nHost: y", "http://u@x/"]
)
def test_only_plain_http_addresses_are_fetched(url):
    """No other scheme, no credentials, no header through the back door."""
    with pytest.raises(CodeUnavailable):
        fetch(code(url))


async def test_a_peer_that_does_not_finish_is_cut_off():
    """A slow-loris holds its connection for the server's patience, not longer; silence at first counts too."""

    class Impatient(Connection):
        patience = 0.05

        def admit(self, head):
            return 0

        def handle(self, request):
            self.release()

    peers = {}
    server = await asyncio.get_running_loop().create_server(lambda: Impatient(peers), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for first in (b"", b"GET / HTTP/1.1\r\nA", b"GET / HTTP/1.1\r\n\r\nGET"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await asyncio.sleep(0.15)
    assert len(peers) == 1, "an idle connection that has asked properly stays"
    writer.close()
    server.close()


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user to look at")
def test_an_undumpable_process_shows_nothing_to_its_own_user():
    """Its /proc files belong to root although it runs as somebody else."""
    program = (
        f"import sys, os; sys.path.insert(0, {str(ROOT / 'operator')!r})\n"
        "from lambent.agent.hardening import become_undumpable\n"
        "assert open('/proc/self/environ').read() is not None\n"
        "become_undumpable()\n"
        "try: open('/proc/self/environ').read(); print('readable')\n"
        "except PermissionError: print('closed')\n"
    )
    ran = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", program],
        user=65534,
        group=65534,
        cwd="/",
        capture_output=True,
        text=True,
        env={},
        check=False,
    )
    assert ran.stdout == "closed\n", ran.stderr


USERS = {
    "the node's": ("         0          0 4294967295\n", False),
    "a pod's own": ("         0  362217472      65536\n", True),
    "a developer's": ("         0       1000          1\n", True),
}


@pytest.mark.parametrize(("uid_map", "own"), USERS.values(), ids=USERS)
def test_processes_are_limited_where_nobody_else_counts(uid_map, own):
    """RLIMIT_NPROC is per user and node, unless the pod has users of its own."""
    assert has_users_of_its_own(uid_map) is own


def test_children_inherit_lambdas_limit_of_descriptors():
    """1,024, soft and hard; a lower one stays."""
    program = (
        f"import sys, resource; sys.path.insert(0, {str(ROOT / 'operator')!r})\n"
        "from lambent.agent.hardening import limit_resources\n"
        "limit_resources(); print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))\n"
        "limit_resources(); print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "(1024, 1024)\n(200, 200)\n", ran.stderr


def test_settings_without_a_token_are_refused():
    """A door without a lock never opens."""
    with pytest.raises(ValueError, match="LAMBENT_TOKEN_SHA256"):
        Settings.from_environment({})
    with pytest.raises(ValueError, match="LAMBENT_AGENT_PORT"):
        Settings.from_environment({"LAMBENT_TOKEN_SHA256": "0" * 64, "LAMBENT_AGENT_PORT": "http"})


def test_the_agent_imports_nothing_but_the_standard_library():
    """Isolated and without site-packages it comes up, and TLS and e-mail stay out."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'operator')!r}); import lambent.agent.__main__; sys.modules['ssl'] = None; import lambent.agent.running, lambent.agent.fetching\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'lambent', '__main__'}))\n"
        "print([name for name in ('email', 'http.client', 'urllib.request', 'logging.handlers', '_ssl') if name in sys.modules])\n"
    )
    ran = subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n[]\n", ran.stdout + ran.stderr
    assert sys.version_info >= (3, 11)
