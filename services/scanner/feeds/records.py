"""OSV records (https://ossf.github.io/osv-schema/), decoded strictly, and what is left of bad ones.

A record that is bad in one entry still says which package that entry is about: such a package
is in *doubt*, and its silence means nothing.
"""

from typing import Annotated, Any

import msgspec

MAX_RECORD = 64 * 1024**2
"""Bytes. The largest that are published are those of Linux kernels, some MiB."""

Text = Annotated[str, msgspec.Meta(max_length=512)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class OsvScore(msgspec.Struct, frozen=True):
    """An entry of `severity`: a CVSS vector, or Ubuntu's priority in a word."""

    type: Text = ""
    score: Text = ""


class Event(msgspec.Struct, frozen=True):
    """One of them is set."""

    introduced: Text | None = None
    fixed: Text | None = None
    last_affected: Text | None = None
    limit: Text | None = None


class OsvRange(msgspec.Struct, frozen=True):
    """`SEMVER` and `ECOSYSTEM` are by versions, `GIT` is by commits."""

    type: Text
    events: tuple[Event, ...]


class OsvPackage(msgspec.Struct, frozen=True):
    """`ecosystem` carries the release: `Debian:12`."""

    ecosystem: Text
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    purl: Any = ""


class Affected(msgspec.Struct, frozen=True):
    """What the record says of one package. Without a package: only of commits."""

    package: OsvPackage | None = None
    ranges: tuple[OsvRange, ...] = ()
    versions: tuple[Text, ...] = ()
    severity: tuple[OsvScore, ...] | None = ()
    ecosystem_specific: Any = None
    database_specific: Any = None


class Record(msgspec.Struct, frozen=True):
    """A whole record; fields that nothing here reads are left out."""

    id: Id
    affected: tuple[Affected, ...] | None = ()
    aliases: tuple[Text, ...] | None = ()
    upstream: tuple[Text, ...] | None = ()
    related: tuple[Text, ...] | None = ()
    severity: tuple[OsvScore, ...] | None = ()
    summary: Any = ""
    database_specific: Any = None
    modified: str = ""
    published: str | None = ""
    withdrawn: str | None = None


class Doubt(msgspec.Struct, frozen=True):
    """A package that a bad entry is about."""

    ecosystem: str
    name: str
    reason: str


class Unreadable(ValueError):
    """A text that nobody can say which packages it is about."""


_decoder = msgspec.json.Decoder(Record)


def decode_record(text: bytes) -> tuple[Record | None, tuple[Doubt, ...]]:
    """The record as far as it is good, and the packages that bad parts of it are about.

    Raises Unreadable.
    """
    if len(text) > MAX_RECORD:
        raise Unreadable(f"longer than {MAX_RECORD} bytes")
    try:
        return _decoder.decode(text), ()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _salvage(text, str(error))


class _LoosePackage(msgspec.Struct):
    package: OsvPackage


def _salvage(text: bytes, why: str) -> tuple[Record | None, tuple[Doubt, ...]]:
    """Entry by entry. Raises Unreadable when one of them does not name its package."""
    try:
        document = msgspec.json.decode(text)
        loose = msgspec.convert(document, dict[str, Any])
        entries = msgspec.convert(loose.pop("affected", None) or [], list[dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    good: list[Affected] = []
    doubts: list[Doubt] = []
    for entry in entries:
        try:
            good.append(msgspec.convert(entry, Affected))
        except msgspec.ValidationError as error:
            doubts.append(_doubt(entry, str(error)))
    try:
        record = msgspec.convert(loose, Record)
    except msgspec.ValidationError:
        if not entries:
            raise Unreadable(why) from None
        doubts += [
            Doubt(one.package.ecosystem, one.package.name, why) for one in good if one.package
        ]
        return None, tuple(doubts)
    return msgspec.structs.replace(record, affected=tuple(good)), tuple(doubts)


def _doubt(entry: dict[str, Any], reason: str) -> Doubt:
    try:
        package = msgspec.convert(entry, _LoosePackage).package
    except msgspec.ValidationError as error:
        raise Unreadable(str(error)) from error
    return Doubt(package.ecosystem, package.name, reason)
