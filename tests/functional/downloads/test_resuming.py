"""A download goes on where it broke off, and never takes a beginning for the whole."""

import asyncio
import random
from pathlib import Path

import pytest

from shared.adapters.downloads.limits import Limits
from shared.ports.downloads import DownloadFailed
from tests.fakes.files import FakeFiles, cut_after, first, stall_after, status, whole_again
from tests.functional.downloads.conftest import BODY, Fetching
from tests.waiting import eventually

OTHER = BODY[::-1]


async def test_a_file_comes_whole_and_checked(fetching: Fetching) -> None:
    got = await fetching.fetch()
    assert fetching.into.read_bytes() == BODY
    assert (got.size, got.checked, got.new) == (len(BODY), "md5", True)
    assert got.modified == 1_760_000_000_000
    assert got.etag.startswith('"')
    assert fetching.told[0] == (0, len(BODY))
    assert fetching.told[-1] == (len(BODY), len(BODY))
    assert not fetching.part.exists()


async def test_a_connection_that_breaks_costs_only_what_had_not_come(fetching: Fetching) -> None:
    fetching.server.faults = [cut_after(1_000_000), cut_after(1_000_000)]
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY
    ranges = fetching.server.ranges
    assert ranges[0] == ""
    starts = [int(one.removeprefix("bytes=").removesuffix("-")) for one in ranges[1:]]
    assert len(starts) == 2
    assert 500_000 < starts[0] <= 1_000_000
    assert 500_000 < starts[1] - starts[0] <= 1_000_000


async def test_what_came_before_is_gone_on_with_by_the_next_call(fetching: Fetching) -> None:
    fetching.server.faults = [cut_after(1_000_000), *[status(503)] * 3]
    with pytest.raises(DownloadFailed, match="the next run goes on from there"):
        await fetching.fetch()
    assert not fetching.into.exists()
    assert fetching.part.stat().st_size > 500_000
    fetching.server.asked.clear()
    await fetching.fetch()
    assert fetching.server.ranges[0].startswith("bytes=")
    assert fetching.into.read_bytes() == BODY


async def test_many_breaks_that_each_bring_something_are_no_reason_to_give_up(
    fetching: Fetching,
) -> None:
    fetching.server.faults = [cut_after(200_000)] * 10
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY


async def test_breaks_that_bring_nothing_are_bounded(fetching: Fetching) -> None:
    fetching.server.always = cut_after(0)
    with pytest.raises(DownloadFailed, match=r"broke off in the middle.*given up"):
        await fetching.fetch()
    assert len(fetching.server.asked) == 3


async def test_a_server_that_breaks_off_and_knows_no_ranges_is_given_up(
    fetching: Fetching,
) -> None:
    fetching.server.etags = False
    fetching.server.always = cut_after(1_000_000)
    with pytest.raises(DownloadFailed, match="given up"):
        await fetching.fetch()
    # The first and three in vain; one that came farther than those before it was not.
    assert set(fetching.server.ranges) == {""}
    assert 4 <= len(fetching.server.ranges) <= 8
    assert not fetching.into.exists()


async def test_a_file_that_changed_meanwhile_is_begun_anew(fetching: Fetching) -> None:
    def change(server: FakeFiles) -> None:
        server.files[fetching.path] = OTHER

    fetching.server.faults = [cut_after(1_000_000), first(change)]
    got = await fetching.fetch()
    assert fetching.into.read_bytes() == OTHER
    assert fetching.server.ranges[1].startswith("bytes=")
    assert got.etag == fetching.server.head_of(fetching.path)["ETag"]


async def test_a_server_that_ignores_ranges_sends_all_of_it(fetching: Fetching) -> None:
    fetching.server.faults = [cut_after(1_000_000), whole_again()]
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY


async def test_a_server_that_goes_silent_is_left_and_asked_again(fetching: Fetching) -> None:
    fetching.server.faults = [stall_after(500_000)]
    await fetching.fetch(limits=Limits(stall=3.0, backoff=0.001))
    assert fetching.into.read_bytes() == BODY
    assert len(fetching.server.asked) == 2


async def test_what_the_server_has_still_is_not_sent_again(fetching: Fetching) -> None:
    before = await fetching.fetch()
    again = await fetching.fetch()
    assert (again.new, again.etag, again.size) == (False, before.etag, before.size)
    assert fetching.server.asked[-1][1]["If-None-Match"] == before.etag


async def test_without_an_etag_its_date_has_it_not_sent_again(fetching: Fetching) -> None:
    fetching.server.etags = False
    await fetching.fetch()
    assert not (await fetching.fetch()).new


async def test_a_new_file_replaces_the_old_one_only_when_it_is_whole(fetching: Fetching) -> None:
    await fetching.fetch()
    fetching.server.files[fetching.path] = OTHER
    fetching.server.faults = [cut_after(1_000_000), *[status(500)] * 3]
    with pytest.raises(DownloadFailed):
        await fetching.fetch()
    assert fetching.into.read_bytes() == BODY
    await fetching.fetch()
    assert fetching.into.read_bytes() == OTHER
    assert fetching.server.ranges[-1].startswith("bytes=")


async def test_a_beginning_of_another_address_is_not_gone_on_with(fetching: Fetching) -> None:
    fetching.server.faults = [cut_after(1_000_000), *[status(503)] * 3]
    with pytest.raises(DownloadFailed):
        await fetching.fetch()
    fetching.server.files["/other/all.zip"] = OTHER
    fetching.server.asked.clear()
    await fetching.fetch(f"{fetching.server.url}/other/all.zip")
    assert fetching.server.ranges == [""]
    assert fetching.into.read_bytes() == OTHER


async def test_a_note_that_is_damaged_has_it_begun_anew(fetching: Fetching) -> None:
    fetching.server.faults = [cut_after(1_000_000), *[status(503)] * 3]
    with pytest.raises(DownloadFailed):
        await fetching.fetch()
    fetching.part.with_name("all.zip.part.note").write_text("{")
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY


@pytest.mark.parametrize("grown", [len(BODY), len(BODY) + 7])
async def test_a_beginning_as_long_as_the_file_is_begun_anew(
    fetching: Fetching, grown: int
) -> None:
    fetching.server.faults = [cut_after(1_000_000), *[status(503)] * 3]
    with pytest.raises(DownloadFailed):
        await fetching.fetch()
    fetching.part.write_bytes(b"x" * grown)
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY


async def test_bytes_that_rotted_on_the_disk_are_found_out(fetching: Fetching) -> None:
    fetching.server.faults = [cut_after(1_000_000), *[status(503)] * 3]
    with pytest.raises(DownloadFailed):
        await fetching.fetch()
    size = fetching.part.stat().st_size
    fetching.part.write_bytes(b"x" * size)
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY
    assert fetching.server.ranges[-2:] == [f"bytes={size}-", ""]


async def test_who_cancels_keeps_what_came(fetching: Fetching) -> None:
    fetching.server.faults = [stall_after(500_000)]
    task = asyncio.create_task(fetching.fetch())

    async def has_begun() -> bool:
        return fetching.part.exists() and fetching.part.stat().st_size > 200_000

    await eventually(has_begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    came = fetching.part.read_bytes()
    assert came == BODY[: len(came)]
    assert len(came) > 200_000
    await fetching.fetch()
    assert fetching.server.ranges == ["", f"bytes={len(came)}-"]
    assert fetching.into.read_bytes() == BODY


async def test_no_byte_comes_twice_whenever_somebody_cancels(fetching: Fetching) -> None:
    """Without a hash of the server's, which alone would tell."""
    fetching.server.hashes = False
    moments = random.Random(1)
    for _ in range(60):
        task = asyncio.create_task(fetching.fetch())
        await fetching.some_came.wait()
        await asyncio.sleep(moments.random() * 0.002)
        task.cancel()
        await asyncio.wait([task])
        await fetching.fetch()
        assert fetching.into.read_bytes() == BODY
        fetching.into.unlink()
        fetching.some_came.clear()


async def test_a_folder_that_cannot_be_written_is_named(fetching: Fetching, tmp_path: Path) -> None:
    (tmp_path / "downloads").write_text("a file")
    with pytest.raises(DownloadFailed, match=r"cannot write .*downloads/all\.zip"):
        await fetching.fetch()
