"""Whom a config's User stands for, by the image's own /etc/passwd.

As containerd's and CRI-O's CRI do it: the part before the colon is a number by Go's Atoi or else
a name, which the first line of /etc/passwd that has it gives a number. A name that is not there
keeps a container from starting, `root` too.
"""

import re
from collections.abc import Iterator

_NUMBER = re.compile(rb"[+-]?[0-9]+")
_LARGEST = 2**31 - 1
_DIGITS = 10
_SPACE = b" \t\n\v\f\r"
_MAX_LINE = 64 * 1024


def user_of(user: str, passwd: bytes | None, problem: str) -> tuple[int | None, str]:
    """The number of `user[:group]`, or why there is none; `problem`: why `passwd` was not read."""
    name = user.partition(":")[0].strip().encode(errors="surrogateescape")
    if not name:
        return 0, ""
    if _NUMBER.fullmatch(name):
        return _number(name), ""
    shown = repr(name.decode(errors="replace")[:80])
    if problem:
        return None, problem
    if passwd is None:
        return None, f"the image has no /etc/passwd to look up the user {shown} in"
    lines = [line.strip(_SPACE) for line in passwd.split(b"\n")]
    if any(len(line) >= _MAX_LINE for line in lines):
        return None, f"/etc/passwd of the image has a line of over {_MAX_LINE} bytes"
    number = next(_numbers(name, lines), None)
    return number, "" if number is not None else f"/etc/passwd of the image has no user {shown}"


def _numbers(name: bytes, lines: list[bytes]) -> Iterator[int]:
    for line in lines:
        fields = line.split(b":")
        if line and fields[0] == name:
            yield _number(fields[2]) if len(fields) > 2 else 0


def _number(text: bytes) -> int:
    """0 for what is none, and for what runtimes make 32 bits of: some of them became 0."""
    digits = text.lstrip(b"+-0")
    if not _NUMBER.fullmatch(text) or text.startswith(b"-") or len(digits) > _DIGITS:
        return 0
    number = int(digits or b"0")
    return number if number <= _LARGEST else 0
