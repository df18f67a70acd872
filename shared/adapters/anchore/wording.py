"""What Anchore and its registries say, made fit for our messages: one bounded line."""

import re

MAX_TEXT = 200

_SKOPEO_SAID = re.compile(r'level=(?:fatal|error) msg=\\*"(.*)', re.DOTALL)
_SKOPEO_ASKED = re.compile(r'^Error parsing image name \\*"[^"]*": ')
_SKOPEO_END = re.compile(r'\\*"\\n.*|\\*"[\'"], error_code=.*', re.DOTALL)


def one_line(text: str, *, limit: int = MAX_TEXT) -> str:
    """`text` cut at `limit` characters, with everything that is not printable escaped."""
    cut = text if len(text) <= limit else f"{text[: limit - 3]}..."
    if cut.isprintable():
        return cut
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in cut
    )


def skopeo_reason(raw: str) -> str:
    """The part of `detail.raw_exception_message` that tells why.

    The rest is a command line with host names and temporary paths of Anchore's machine
    (docs/design/anchore-engine.md 2): nobody who reads a verdict needs it. Still untrusted
    text; a form that is not known is returned as it is.
    """
    said = _SKOPEO_SAID.search(raw)
    return _SKOPEO_ASKED.sub("", _SKOPEO_END.sub("", said.group(1))) if said else raw
