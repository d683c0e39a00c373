"""Output leaves redacted and capped, and its digest covers all of it."""

import hashlib

from wingman_gateway.engine.events import Output
from wingman_gateway.output import CHUNK, Capture, OutputLimits


def _capture(limits: OutputLimits, *pieces: Output) -> tuple[list[Output], Capture]:
    capture = Capture(limits)
    seen = [output for piece in pieces for output in capture.feed(piece)]
    return seen + list(capture.close()), capture


def test_the_two_streams_do_not_mix_and_what_was_held_comes_at_the_end():
    seen, capture = _capture(
        OutputLimits(1000, 1000), Output("stdout", b"half "), Output("stderr", b"error\n"), Output("stdout", b"line")
    )
    assert seen == [Output("stderr", b"error\n"), Output("stdout", b"half line")]
    assert capture.digest == hashlib.sha256(b"error\nhalf line").hexdigest()
    assert capture.excerpt == "error\nhalf line"
    assert not capture.truncated


def test_exactly_the_limit_is_not_truncated_and_one_more_byte_is():
    for size, truncated in ((1000, False), (1001, True)):
        data = b"x" * (size - 1) + b"\n"
        seen, capture = _capture(OutputLimits(1000, 10), Output("stdout", data))
        assert b"".join(output.data for output in seen) == data[:1000]
        assert capture.truncated is truncated
        assert capture.digest == hashlib.sha256(data).hexdigest()
        assert capture.excerpt == "x" * 10


def test_nothing_leaves_past_the_limit_and_messages_are_small():
    lines = b"".join(b"%d\n" % number for number in range(30_000))
    seen, capture = _capture(OutputLimits(100_000, 0), Output("stdout", lines), Output("stdout", lines))
    assert max(len(output.data) for output in seen) <= CHUNK
    assert b"".join(output.data for output in seen) == lines[:100_000]
    assert capture.digest == hashlib.sha256(lines + lines).hexdigest()
    assert capture.excerpt == ""


def test_a_secret_is_gone_from_stream_excerpt_and_digest_also_when_it_is_cut():
    seen, capture = _capture(OutputLimits(1000, 1000), Output("stdout", b"API_KEY=s3c"), Output("stdout", b"r3t\n"))
    assert seen == [Output("stdout", b"API_KEY=[redacted]\n")]
    assert capture.excerpt == "API_KEY=[redacted]\n"
    assert capture.digest == hashlib.sha256(b"API_KEY=[redacted]\n").hexdigest()


def test_bytes_that_are_no_text_pass_and_the_excerpt_stays_fit_for_a_column():
    seen, capture = _capture(OutputLimits(1000, 1000), Output("stdout", b"\xff\x00\x1b[31m\n"))
    assert seen == [Output("stdout", b"\xff\x00\x1b[31m\n")]
    assert capture.excerpt == "\ufffd\ufffd\ufffd[31m\n"


def test_without_output_there_is_the_digest_of_nothing():
    seen, capture = _capture(OutputLimits(1000, 1000))
    assert seen == []
    assert capture.digest == hashlib.sha256(b"").hexdigest()
