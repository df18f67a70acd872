"""Rows of Engine's evaluations: what a finding is called, which exceptions name."""

from typing import Any

import pytest

from shared.adapters.anchore.v1_rows import NAMES, read_rows
from shared.domain.exceptions import ImageException, checked


def result(*trigger_ids: str) -> dict[str, Any]:
    rows = [["files", "suid", each, "stop", "a file"] for each in trigger_ids]
    return {"result": {"id": {"result": {"header": [*NAMES], "rows": rows}}}}


def names(*trigger_ids: str) -> list[str]:
    problems: list[str] = []
    found = [finding.trigger_id for finding in read_rows(result(*trigger_ids), problems)]
    assert not problems
    return found


def test_a_trigger_id_is_kept_as_it_is() -> None:
    assert names("CVE-2026-0001+openssl", "x" * 200) == ["CVE-2026-0001+openssl", "x" * 200]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/" + "a" * 300 + "/b", "/" + "a" * 300 + "/c"),
        ("/" + "a" * 300, "/" + "a" * 196 + "..."),
        ("/a\nb", "/a\\nb"),
        ("/a\u202eb", "/a\\u202eb"),
        ("\x00" * 400, "\x00" * 401),
    ],
)
def test_of_two_findings_none_is_called_like_the_other(one: str, other: str) -> None:
    """An exception of one would cover the other."""
    first, second = names(one, other)
    assert first != second
    assert first.isprintable()
    # And it can be named in an exception.
    exception = ImageException("a.b/c", (first, second), ("*",), "no fix yet", "ada", 1)
    assert checked(exception).findings == (first, second)
