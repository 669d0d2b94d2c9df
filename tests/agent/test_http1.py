"""The codec: messages however they are cut, and nothing that two readers could read differently."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.agent.protocol.heads import MessageEnd, ProtocolError, RequestHead, ResponseHead
from lambent.agent.protocol.http1 import BODY_END, BODY_FAILED, RequestDecoder, ResponseDecoder
from lambent.agent.protocol.refusals import TooLarge
from lambent.agent.protocol.writing import (
    LAST_CHUNK,
    LAST_CHUNK_FAILED,
    encode_chunk,
    encode_chunked_head,
    encode_field_value,
    encode_fields,
    encode_request,
    encode_response,
    encode_trailers,
)

NAMES = st.text("abcXYZ-_09", min_size=1, max_size=8).map(str.encode)
VALUES = st.text("abc ;,:=\t\u00e9", max_size=12).map(lambda text: text.strip().encode())
FIELDS = st.dictionaries(NAMES.map(lambda name: b"X-" + name), VALUES, max_size=4)
BODIES = st.binary(max_size=60)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *[cut % (len(data) + 1) for cut in cuts]})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def lowered(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in fields.items():
        key = name.lower()
        joined[key] = joined[key] + b", " + value if key in joined else value
    return joined


@given(st.lists(st.tuples(FIELDS, BODIES), min_size=1, max_size=3), CUTS)
def test_requests_are_read_as_they_were_written(messages, cuts):
    """However the bytes are cut, also several in a row."""
    data = b"".join(encode_request(b"POST", b"/p", fields.items(), body) for fields, body in messages)
    decoder = RequestDecoder(lambda _: 100)
    requests = [request for piece in pieces(data, cuts) for request in decoder.feed(piece)]
    assert decoder.failure is None
    assert not decoder.partial
    assert [request.body for request in requests] == [body for _, body in messages]
    for request, (fields, body) in zip(requests, messages, strict=True):
        assert request.head.headers == {**lowered(fields), b"content-length": b"%d" % len(body)}


@given(FIELDS, st.lists(BODIES, max_size=4), FIELDS, CUTS)
def test_chunked_responses_are_read_as_they_were_written(fields, chunks, trailers, cuts):
    """Head, body, its end, then trailers."""
    body = b"".join(encode_chunk(chunk) for chunk in chunks)
    data = encode_chunked_head(200, fields.items()) + body + LAST_CHUNK + encode_trailers(trailers.items())
    decoder = ResponseDecoder()
    events = [event for piece in pieces(data, cuts) for event in decoder.feed(piece)]
    assert events[0] == ResponseHead(200, {**lowered(fields), b"transfer-encoding": b"chunked"}, -1, True)
    assert b"".join(events[1:-2]) == b"".join(chunks)
    assert events[-2:] == [BODY_END, MessageEnd(lowered(trailers))]


def test_the_end_of_a_body_is_seen_before_its_trailers():
    """With the last-chunk line, whatever follows later."""
    decoder = ResponseDecoder()
    events = decoder.feed(encode_chunked_head(200, ()) + encode_chunk(b"done") + LAST_CHUNK)
    assert events[1:] == [b"done", BODY_END]
    assert decoder.feed(encode_trailers(((b"A", b"1"),))) == [MessageEnd({b"a": b"1"})]


def test_a_body_that_broke_off_is_told_from_one_that_is_complete():
    """Before the trailers that say why."""
    decoder = ResponseDecoder()
    events = decoder.feed(encode_chunked_head(200, ()) + encode_chunk(b"half") + LAST_CHUNK_FAILED)
    assert events[1:] == [b"half", BODY_FAILED]


class Pieces:
    """A sink that remembers."""

    def __init__(self):
        self.pieces, self.trailers = [], None

    def take(self, piece):
        assert self.trailers is None
        self.pieces.append(piece)

    def complete(self, trailers):
        self.trailers = trailers


@given(st.lists(BODIES, max_size=4), FIELDS, st.booleans(), CUTS)
def test_a_body_goes_to_its_sink_as_it_comes(chunks, trailers, sized, cuts):
    """Chunked or with a length, however it is cut; the requests around it are whole."""
    content = b"".join(chunks)
    around = encode_request(b"POST", b"/whole", (), b"event")
    if sized:
        message, trailers = encode_request(b"POST", b"/stream", (), content), {}
    else:
        head = b"POST /stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        message = head + b"".join(map(encode_chunk, chunks)) + LAST_CHUNK + encode_trailers(trailers.items())
    sink = Pieces()
    decoder = RequestDecoder(lambda head: sink if head.target == b"/stream" else 100)
    requests = [each for piece in pieces(around + message + around, cuts) for each in decoder.feed(piece)]
    assert decoder.failure is None
    assert [request.body for request in requests] == [b"event", b"event"]
    assert (b"".join(sink.pieces), sink.trailers) == (content, lowered(trailers))


@given(st.binary(max_size=200), CUTS)
def test_no_bytes_break_a_decoder(data, cuts):
    """Garbage is an error of the protocol or a message that is not there yet."""
    decoder = RequestDecoder(lambda _: 100)
    for piece in pieces(b"POST / HTTP/1.1\r\n" + data, cuts):
        decoder.feed(piece)
    assert decoder.failure is None or isinstance(decoder.failure, ProtocolError)
    response = ResponseDecoder()
    try:
        for piece in pieces(b"HTTP/1.1 200 OK\r\n" + data, cuts):
            response.feed(piece)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            response.feed(b"")


@given(CUTS, st.sampled_from([b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"A : b", b" A: b", b"A: b\nC: d"]))
def test_smuggling_is_refused_however_it_is_cut(cuts, fields):
    """No cut makes a bad head good."""
    decoder = RequestDecoder(lambda _: 100)
    data = b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\n"
    assert [request for piece in pieces(data, cuts) for request in decoder.feed(piece)] == []
    assert isinstance(decoder.failure, ProtocolError)


def test_requests_before_an_error_are_still_given():
    """They were asked for properly and are answered before the connection ends."""
    decoder = RequestDecoder(lambda _: 100)
    assert len(decoder.feed(b"GET / HTTP/1.1\r\n\r\nGET\r\n\r\n")) == 1
    assert isinstance(decoder.failure, ProtocolError)


def test_a_body_over_its_limit_is_read_and_thrown_away():
    """So that the peer hears why and its connection stays usable."""
    decoder = RequestDecoder(lambda _: 10)
    first, second = decoder.feed(
        encode_request(b"POST", b"/", (), b"x" * 11) + encode_request(b"POST", b"/", (), b"x" * 10)
    )
    assert (first.body, second.body) == (None, b"x" * 10)


def test_admitting_may_refuse_before_the_body():
    """The refusal is kept for the server to answer."""
    refusal = TooLarge("no")

    def admit(head: RequestHead) -> int:
        raise refusal

    decoder = RequestDecoder(admit)
    assert decoder.feed(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n") == []
    assert decoder.failure is refusal


def test_expecting_continue_is_told():
    """Until the first byte of the body."""
    decoder = RequestDecoder(lambda _: 10)
    decoder.feed(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert decoder.expects_continue
    assert decoder.feed(b"ab")[0].body == b"ab"


LIMITS = {
    "endless head": [b"GET / HTTP/1.1\r\nA: "] + [b"a" * 1000] * 100,
    "endless trailers": [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: "] + [b"a" * 1000] * 100,
    "endless chunk size": [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"] + [b"0" * 100] * 10,
    "endless chunk extension": [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;"] + [b"a" * 100] * 10,
}


@pytest.mark.parametrize("data", LIMITS.values(), ids=LIMITS)
def test_nothing_grows_without_bound(data):
    """Each part of a message has its cap."""
    decoder = RequestDecoder(lambda _: 100)
    for piece in data:
        decoder.feed(piece)
    assert isinstance(decoder.failure, ProtocolError)


def test_a_response_without_a_length_is_refused():
    """It would end with the connection, and so might one that was cut off."""
    with pytest.raises(ProtocolError):
        ResponseDecoder().feed(b"HTTP/1.1 200 OK\r\n\r\n")


def test_informational_responses_are_passed_over():
    """The real one follows."""
    events = ResponseDecoder().feed(b"HTTP/1.1 100 Continue\r\n\r\n" + encode_response(204, ()))
    assert events[0].status == 204


@pytest.mark.parametrize("value", [b"a\r\nB: c", b"a\nb", b"a\rb", b"a\0"])
def test_a_field_cannot_end_its_line(value):
    """An encoder's caller cannot smuggle either."""
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        encode_fields(((b"A", value),))
    assert b"\n" not in encode_field_value(value.decode())
