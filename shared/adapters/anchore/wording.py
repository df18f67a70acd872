"""What Anchore and its registries say, made fit for our messages: one bounded line."""

MAX_TEXT = 200
MAX_RAW = 8192


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
    raw = raw[:MAX_RAW]
    _, found, said = raw.partition(" msg=")
    if not found:
        return raw
    # Python's bytes as text: a quote and a written-out line end close what skopeo logged.
    said = said.partition('"\\n')[0].lstrip('\\"')
    image, colon, why = said.partition('": ')
    return why if colon and image.startswith("Error parsing image name") else said
