"""Exceptions in the file: what each must say, and where an error points."""

from pathlib import Path

import pytest

from shared.domain.exceptions import ImageException
from tests.functional.rules_file.files import HEAD, read, refused

LINES = {
    "image": f"redis@sha256:{'a' * 64}",
    "findings": "[CVE-2026-0001+openssl]",
    "namespaces": "['*']",
    "reason": "no fix yet",
    "owner": "team-cache",
    "expires": "2027-01-31T00:00:00Z",
}
LINE = {key: 4 + at for at, key in enumerate(LINES)}


def entry(**changes: str | None) -> str:
    """One exception, a line each key; what is None is left out."""
    lines = {**LINES, **changes}
    said = [f"  {key}: {text}\n" for key, text in lines.items() if text is not None]
    return "exceptions:\n-\n" + "".join(said)


def one(file: Path, **changes: str | None) -> ImageException:
    (exception,) = read(file, HEAD + entry(**changes)).exceptions
    return exception


def test_an_exception_is_read(file: Path) -> None:
    assert one(file) == ImageException(
        image=f"docker.io/library/redis@sha256:{'a' * 64}",
        findings=("CVE-2026-0001+openssl",),
        namespaces=("*",),
        reason="no fix yet",
        owner="team-cache",
        expires=1_801_353_600_000,
    )


@pytest.mark.parametrize("key", list(LINES))
def test_each_of_its_keys_is_needed(file: Path, key: str) -> None:
    refused(file, entry(**{key: None}), rf"exceptions\[0\]: the key '{key}' is missing")


@pytest.mark.parametrize(
    ("key", "written", "said"),
    [
        ("image", "redis:7", "names a tag, which another image may have tomorrow"),
        ("image", "'a.b/**'", "the repository must be lower-case"),
        ("image", "redis@sha256:abc", "the digest must be"),
        ("findings", "[]", "if it has none, leave it out"),
        ("findings", "all", "must be a list, not a text"),
        ("findings", "[all, x]", "all stands alone"),
        ("findings", "['CVE-2026-*']", "no wildcards"),
        ("namespaces", "[]", "if it has none, leave it out"),
        ("namespaces", "[Team]", "can match no namespace"),
        ("reason", "''", "must be 1 to"),
        ("reason", "' '", "must be 1 to 512 printable characters"),
        ("owner", "12", "must be a text, not a number; put it in quotes"),
        ("owner", "x" * 513, "must be 1 to 512 printable characters"),
    ],
)
def test_an_error_points_at_its_line_and_key(file: Path, key: str, written: str, said: str) -> None:
    refused(file, entry(**{key: written}), rf"exceptions\[0\]\.{key}.*: .*{said}", line=LINE[key])


def test_all_findings_need_a_digest(file: Path) -> None:
    body = entry(image="redis", findings="[all]")
    refused(file, body, "all holds for one digest only", line=LINE["findings"])
    assert one(file, findings="[all]").whole
    assert one(file, image="redis").digest == ""


@pytest.mark.parametrize(
    "written",
    [
        "2027-01-31T00:00:00Z",
        "'2027-01-31T00:00:00Z'",
        '"2027-01-31T00:00:00.000Z"',
        "2027-01-31T02:00:00+02:00",
        "2027-01-30T19:00:00-05:00",
        "2027-01-31t00:00:00z",
    ],
)
def test_a_time_is_read_in_quotes_and_without(file: Path, written: str) -> None:
    assert one(file, expires=written).expires == 1_801_353_600_000


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2027-01-31", "is a date alone; say the moment: 2027-01-31T00:00:00Z"),
        ("'2027-01-31'", "is a date alone"),
        ("2027-01-31T00:00:00", "has no zone; add Z for UTC, or an offset such as"),
        ("2027-01-31 00:00:00", "has no zone"),
        ("'2027-01-31T00:00'", "has no zone"),
        ("2027-01-31 00:00:00 Z", "must be a time such as 2027-01-31T00:00:00Z, not '2027-"),
        ("2027-01-31T00:00:00+2", "must be a time such as"),
        ("2027-02-30T00:00:00Z", "must be a time such as"),
        ("2027-01-31T24:00:00Z", "must be a time such as"),
        ("1801353600000", "must be a time such as 2027-01-31T00:00:00Z, not '1801353600000'"),
        ("1969-12-31T23:59:59Z", "must be a time of the years 1970 to 9999"),
        ("0001-01-01T00:00:00+14:00", "must be a time"),
        ("9999-12-31T23:59:59-14:00", "must be a time"),
        ("never", "must be a time such as"),
        ("", "must be a time such as .*not nothing"),
        ("[2027-01-31T00:00:00Z]", "must be a time such as .*not a list"),
    ],
)
def test_a_time_that_leaves_something_open_is_refused(file: Path, written: str, said: str) -> None:
    refused(file, entry(expires=written), rf"\.expires: .*{said}", line=LINE["expires"])


def test_one_that_has_ended_is_loaded_and_does_not_count(file: Path) -> None:
    ended = one(file, expires="2020-01-01T00:00:00Z")
    assert not ended.counts(1_801_353_600_000)
