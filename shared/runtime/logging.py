"""Logging: one line an event, as JSON or for a console; whatever a stranger sent is escaped.

Modules use the standard library: `log = logging.getLogger(__name__)`, then
`log.warning("store unreachable", extra={"store": name})`. What stands in `extra` becomes the
line's fields; it may not be named as an attribute of LogRecord (name, message, args, ...).
"""

import json
import logging
import sys
import time
import traceback
from typing import Any, Literal, TextIO

MAX_TEXT = 2_000
MAX_TRACEBACK = 8_000

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def one_line(text: str, *, limit: int = MAX_TEXT) -> str:
    """`text` cut at `limit` characters, with each escaped that shows nothing, breaks the line or
    turns the direction of the text around."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    if cut.isprintable():
        return cut
    return "".join([each if each.isprintable() else _escaped(each) for each in cut])


def _escaped(character: str) -> str:
    return character.encode("unicode-escape").decode()


class JsonFormatter(logging.Formatter):
    """`{"time": ..., "level": ..., "logger": ..., "event": ..., fields}` in one line of ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": one_line(record.getMessage()),
        }
        line |= {name: _plain(value) for name, value in _fields(record).items()}
        if record.exc_info and record.exc_info[1] is not None:
            text = "".join(traceback.format_exception(record.exc_info[1]))
            line["exception"] = text[-MAX_TRACEBACK:]
        return json.dumps(line)


class ConsoleFormatter(logging.Formatter):
    """`12:00:00 warning event field=value`; of an exception its last line."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [_time(record.created)[11:19], record.levelname.lower(), record.getMessage()]
        parts += [f"{name}={value}" for name, value in _fields(record).items()]
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            parts.append(f"({type(error).__name__}: {error})")
        return one_line(" ".join(parts))


class OwnOrWarning(logging.Filter):
    """Lets through our own events, and of libraries only what is a warning or worse."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.name.partition(".")[0] in (
            "imagegate",
            "services",
            "shared",
        )


class BadRequestsQuietly(logging.Filter):
    """aiohttp logs a traceback for bytes that are no HTTP or gzip: strangers could fill the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if record.name != "aiohttp.server" or error is None:
            return True
        return not type(error).__module__.startswith(("aiohttp.http", "aiohttp.web_protocol"))


def configure_logging(
    *,
    style: Literal["json", "console"] = "json",
    level: str = "INFO",
    stream: TextIO | None = None,
) -> logging.Handler:
    """Send every event of the process to `stream` (standard error); once, in `__main__`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    handler.addFilter(OwnOrWarning())
    handler.addFilter(BadRequestsQuietly())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    return handler


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return one_line(str(value))


def _time(created: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created))
    return f"{whole}.{int(created * 1000) % 1000:03d}Z"
