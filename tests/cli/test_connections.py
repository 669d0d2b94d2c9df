"""TLS as a cluster has it: its own authority, another name, client certificates; and proxies."""

from __future__ import annotations

import json
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.authorities import Authority, pem

from lambent.cli.connections import Connections, Peer
from lambent.cli.outcomes import CommandFailed
from lambent.model.errors import Unavailable


class Handler(BaseHTTPRequestHandler):
    """Says who asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        peer = self.connection.getpeercert() if hasattr(self.connection, "getpeercert") else None
        who = dict(pair[0] for pair in peer["subject"]).get("commonName") if peer else None
        data = json.dumps({"who": who, "path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def serve(authority, tmp_path):
    """A TLS server by this name, which asks for client certificates."""
    servers = []

    def start(name):
        certificate, key = authority.pair(name)
        (tmp_path / "server.pem").write_bytes(certificate + key)
        (tmp_path / "ca.pem").write_bytes(pem(authority.certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        context.load_verify_locations(tmp_path / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *a: None
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"https://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(peer, path="/x"):
    with Connections(peer).request("GET", path, [], None, 10) as answer:
        return json.loads(answer.read())


def test_the_clusters_own_authority_is_trusted_and_we_show_our_certificate(serve, authority):
    """As a kubeconfig with client certificates has it."""
    certificate, key = authority.pair("jane")
    peer = Peer(serve("127.0.0.1"), pem(authority.certificate), certificate=certificate, key=key)
    assert ask(peer) == {"who": "jane", "path": "/x"}


def test_a_path_in_the_servers_url_is_kept(serve, authority):
    """Some clusters are behind a prefix."""
    assert (
        ask(Peer(serve("127.0.0.1") + "/k8s/clusters/c-1/", pem(authority.certificate)))["path"]
        == "/k8s/clusters/c-1/x"
    )


def test_a_stranger_is_not_trusted(serve):
    """Neither by the system's authorities, nor by another one."""
    url = serve("127.0.0.1")
    for given in (None, pem(Authority().certificate)):
        with pytest.raises(Unavailable, match="its certificate is not trusted"):
            ask(Peer(url, given))


def test_another_name_is_trusted_when_it_is_said(serve, authority):
    """`tls-server-name`; and `insecure-skip-tls-verify`, because kubectl has it."""
    url = serve("cluster.example")
    with pytest.raises(Unavailable, match="its certificate is not trusted"):
        ask(Peer(url, pem(authority.certificate)))
    assert ask(Peer(url, pem(authority.certificate), server_name="cluster.example"))
    assert ask(Peer(url, insecure=True))


def test_our_key_is_on_no_disk_afterwards(serve, authority, tmp_path, monkeypatch):
    """The standard library reads it from a file, which is there for a moment."""
    import tempfile

    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    certificate, key = authority.pair("jane")
    Connections(Peer(serve("127.0.0.1"), pem(authority.certificate), certificate=certificate, key=key))
    assert os.listdir(tmp_path / "t") == []


def test_broken_certificates_are_a_mistake_of_the_kubeconfig():
    """Not of the network."""
    with pytest.raises(CommandFailed, match="certificates cannot be read"):
        Connections(Peer("https://a", authority=b"nonsense"))


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_is_dialled_instead(monkeypatch, variable):
    """Of the environment, unless NO_PROXY names the server; a proxy-url of the kubeconfig wins."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert Connections(Peer("https://a"))._proxy == ("127.0.0.1", 9)
    assert Connections(Peer("https://a", proxy="http://other:1"))._proxy == ("other", 1)
    monkeypatch.setenv("no_proxy", "a")
    assert Connections(Peer("https://a"))._proxy is None


def test_a_kind_of_proxy_that_is_not_spoken_is_refused():
    """Better than going round it."""
    with pytest.raises(CommandFailed, match="socks5"):
        Connections(Peer("https://a", proxy="socks5://b:1"))
