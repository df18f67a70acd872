"""What is said of exceptions in the log, and how often."""

import logging

import msgspec
import pytest

from services.webhook.believed import Source
from services.webhook.exceptions import Uncounted
from shared.domain.signed_exceptions import revocation
from tests.fakes.exceptions import seal
from tests.unit.webhook.exceptions.rig import Rig


async def test_a_bad_file_is_named_once_and_counted_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.files.sealed["bad.exception"] = b"bad"
    rig.files.unread["large.exception"] = "is larger than 8192 bytes"
    for _ in range(3):
        await rig.signed.read_folder()
    said = [(record.getMessage(), vars(record)) for record in caplog.records]
    assert [(event, fields.get("file") or fields["id"]) for event, fields in said] == [
        ("exception file is not read", "large.exception"),
        ("exception does not count", "bad.exception"),
    ]
    assert rig.left_out == {
        (Source.FOLDER, Uncounted.UNREAD): 3,
        (Source.FOLDER, Uncounted.SIGNATURE): 3,
    }
    rig.files.sealed["bad.exception"] = b"otherwise bad"
    await rig.signed.read_folder()
    assert len(caplog.records) == 3


async def test_what_strangers_write_into_the_store_cannot_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.store.thief = {str(number): b"bad" for number in range(1_000)}
    await rig.signed.read_store()
    assert len(caplog.records) == 11
    assert vars(caplog.records[-1])["number"] == 990


async def test_what_comes_to_count_and_what_is_revoked_is_in_the_log_with_who_signed_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig()
    one = rig.exception("a", owner="ada", reason="site down")
    await rig.put(one)
    await rig.signed.first()
    await rig.put(revocation(one, now=rig.clock.now(), reason="fixed"))
    await rig.signed.first()
    lines = [(record.getMessage(), vars(record)) for record in caplog.records]
    assert [event for event, _ in lines] == ["exception counts", "exception was revoked"]
    for name, value in msgspec.structs.asdict(one).items():
        if name in ("id", "image", "owner", "reason", "expires"):
            assert lines[0][1][name] == value
    assert lines[1][1]["reason"] == "fixed"
    assert {fields["key"] for _, fields in lines} == {seal(one).split(b" ")[2].decode()}
