"""The load program: what it takes for an answer, and what it measures."""

import base64
import contextlib
import socket
import threading
import time

import pytest
from tests.bench import loader
from tests.bench.loader import Answer, Load

SIZED = b"HTTP/1.1 200 OK\r\nX-Amzn-Remapped-Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n"
TRAILERS = b"A: 1\r\nB: 2\r\n\r\n"

MESSAGES = [
    pytest.param(SIZED, id="with a length"),
    pytest.param(CHUNKED + TRAILERS, id="chunked with trailers"),
    pytest.param(CHUNKED + b"\r\n", id="chunked without trailers"),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_an_answer_is_read_however_it_is_cut(message):
    for first in range(1, len(message)):
        for second in (first, (first + len(message)) // 2):
            pieces = [piece for piece in (message[:first], message[first:second], message[second:]) if piece]
            answer = Answer()
            assert [False] * (len(pieces) - 1) + [True] == [answer.feed(piece) for piece in pieces]
            assert (answer.status, b"".join(answer.body)) == (200, b"hello")


@pytest.mark.parametrize("message", MESSAGES)
def test_the_same_connection_reads_one_answer_after_the_other(message):
    answer = Answer()
    for _ in range(3):
        answer.body = []
        assert answer.feed(message)
        assert b"".join(answer.body) == b"hello"


def test_a_chunked_answer_counts_from_its_last_chunk_and_not_from_its_trailers():
    answer = Answer()
    assert not answer.feed(CHUNKED)
    answered = answer.answered
    assert answered > 0
    time.sleep(0.002)
    assert answer.feed(TRAILERS)
    assert answer.answered == answered


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="without a length it could have been cut off"),
        pytest.param(SIZED + b"H", id="more than was asked for"),
        pytest.param(CHUNKED + TRAILERS + b"H", id="more after the trailers"),
    ],
)
def test_what_is_no_single_answer_is_an_error(message):
    with pytest.raises(ValueError):
        Answer().feed(message)


class Server:
    """Answers each request with `answer(number)`; the bytes may be empty: then it closes."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.count = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while connection.recv(65536):
                self.count += 1
                message = self.answer(self.count)
                if not message:
                    return
                connection.sendall(message)

    def close(self):
        self.listener.close()


@pytest.fixture
def serve():
    servers = []

    def start(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def run(server, **changes):
    wanted = {
        "host": "127.0.0.1",
        "port": server.port,
        "before": base64.b64encode(b"POST / HTTP/1.1\r\nX: ").decode(),
        "after": base64.b64encode(b"\r\n\r\n").decode(),
        "expected": base64.b64encode(b"hello").decode(),
        "connections": 1,
        "warmup_s": 0.05,
        "least_s": 0.2,
        "most_s": 0.2,
        "requests": 0,
        "rate": None,
        **changes,
    }
    return Load(wanted).run()


def test_a_closed_loop_measures_every_request_after_the_warm_up(serve):
    server = serve(lambda number: SIZED)
    found = run(server)
    assert 0 < len(found["latencies_us"]) < found["sent"]
    assert len(found["latencies_us"]) == len(found["cycles_us"])
    assert found["errors"] == 0
    assert found["sent"] - server.count in {0, 1}


def test_a_block_goes_on_until_it_has_its_requests_but_never_over_its_longest(serve):
    server = serve(lambda number: SIZED)
    assert len(run(server, least_s=0.0, most_s=10.0, requests=50)["latencies_us"]) >= 50
    begun = time.monotonic()
    run(server, least_s=0.0, most_s=0.3, requests=10**9)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nhello", id="another status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", id="another body"),
        pytest.param(b"", id="a closed connection"),
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
    ],
)
def test_every_wrong_answer_is_an_error_and_no_sample(serve, wrong):
    found = run(serve(lambda number: wrong if number % 50 == 0 else SIZED), requests=120, least_s=0.0, most_s=5.0)
    assert found["errors"] >= 2
    assert len(found["failures"]) == min(5, found["errors"])
    assert len(found["latencies_us"]) + found["errors"] <= found["sent"]


def test_a_side_that_only_fails_is_left_alone(serve):
    server = serve(lambda number: b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(SystemExit):
        run(server, most_s=30.0, least_s=30.0)
    assert server.count <= loader.MOST_ERRORS + 2


def test_an_open_loop_counts_a_stall_for_everybody_who_had_to_wait(serve):
    def stalling(number):
        if number == 40:
            time.sleep(0.25)
        return SIZED

    rate = 200.0
    opened = run(serve(stalling), rate=rate, warmup_s=0.0, least_s=1.0, most_s=1.0)
    closed = run(serve(stalling), warmup_s=0.0, least_s=1.0, most_s=1.0)
    late = [latency for latency in opened["latencies_us"] if latency > 50_000]
    # 0.25 s at 200 a second: about 50 requests were due meanwhile, 40 of them more than 50 ms before its end
    assert 25 <= len(late) <= 60
    assert sum(latency > 50_000 for latency in closed["latencies_us"]) == 1
    assert len(opened["latencies_us"]) <= rate + 1
