import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from shared.runtime.logging import configure_logging, one_line

log = logging.getLogger("services.example")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    stream = io.StringIO()
    yield stream
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in before[0]:
        root.addHandler(handler)
    root.setLevel(before[1])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_fields(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    log.info("verdict put", extra={"image": "a/b:1", "took": 0.5, "again": True, "x": None})
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "services.example",
        "event": "verdict put",
        "image": "a/b:1",
        "took": 0.5,
        "again": True,
        "x": None,
    }


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_a_stranger_sent_cannot_begin_a_line_of_its_own(
    stream: io.StringIO, style: Any
) -> None:
    configure_logging(stream=stream, style=style)
    log.warning("bad\nname", extra={"image": 'x\r\n\x1b[31m\u2028\u202e\x85{"level": "info"}'})
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert not any(mark in text for mark in "\x1b\u2028\u202e\x85")


def test_a_long_text_is_cut(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    log.info("x" * 100_000, extra={"field": "y" * 100_000})
    (line,) = lines(stream)
    assert len(line["event"]) == len(line["field"]) == 2_000


@pytest.mark.parametrize(("style", "word"), [("json", "Traceback"), ("console", "ValueError: no")])
def test_an_exception_stays_in_its_line(stream: io.StringIO, style: Any, word: str) -> None:
    configure_logging(stream=stream, style=style)
    try:
        raise ValueError("no\nway")
    except ValueError:
        log.exception("failed")
    assert len(stream.getvalue().splitlines()) == 1
    assert word in stream.getvalue()


def test_libraries_are_heard_only_when_they_warn(stream: io.StringIO) -> None:
    configure_logging(stream=stream, level="DEBUG")
    logging.getLogger("aiormq").info("chatter")
    logging.getLogger("aiormq").warning("trouble")
    log.debug("ours")
    assert [line["event"] for line in lines(stream)] == ["trouble", "ours"]


def test_bytes_that_are_no_http_leave_no_line(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    server = logging.getLogger("aiohttp.server")
    server.error("Error handling request", exc_info=BadHttpMessage("nonsense"))
    server.error("Error handling request", exc_info=ValueError("a bug of ours"))
    assert [line["event"] for line in lines(stream)] == ["Error handling request"]


def test_configuring_twice_logs_once(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    configure_logging(stream=stream)
    log.info("once")
    assert len(lines(stream)) == 1


def test_the_console_shows_time_level_event_and_fields(stream: io.StringIO) -> None:
    configure_logging(stream=stream, style="console")
    log.info("ready", extra={"port": 8443})
    time, _, rest = stream.getvalue().strip().partition(" ")
    assert len(time) == len("12:00:00")
    assert rest == "info ready port=8443"


def test_one_line_leaves_plain_text_alone() -> None:
    assert one_line("grün é \\ 1") == "grün é \\ 1"
    assert one_line("a\tb\0") == "a\\tb\\x00"
    assert one_line("图 🐳") == "图 🐳"
    assert one_line("abcdef", limit=4) == "abc…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200bb", "a\\u200bb"),
        ("a\xadb", "a\\xadb"),
        ("\u202eevil", "\\u202eevil"),
        ("a\u2028b\x9b", "a\\u2028b\\x9b"),
        ("\U000e0041\ufeff", "\\U000e0041\\ufeff"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_shows_nothing_is_shown_by_its_number(text: str, shown: str) -> None:
    assert one_line(text) == shown
