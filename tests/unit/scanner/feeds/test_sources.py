"""Archives and folders of records, also those that were made to hurt."""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.records import MAX_RECORD
from services.scanner.feeds.state import FeedRefused, Imported
from tests.unit.scanner.feeds.osv import affected, record, write


def about(number: int) -> dict[str, Any]:
    entry = affected("Debian:12", f"p{number}", "introduced 0")
    return record(f"DEBIAN-CVE-2099-{1000 + number}", entry)


def archive(file: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return file


def taken(tmp_path: Path, *sources: Path) -> Imported:
    return import_records(FeedFolder(tmp_path / "feeds"), sources)


def refused(tmp_path: Path, source: Path, said: str) -> None:
    with pytest.raises(FeedRefused, match=said):
        taken(tmp_path, source)
    folder = FeedFolder(tmp_path / "feeds")
    assert folder.current() is None
    assert [one.name for one in folder.path.iterdir()] == ["lock"]


def test_files_archives_and_folders_of_both_are_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", about(0))
    (folder / "deep").mkdir()
    archive(folder / "deep" / "all.zip", [("x.json", json.dumps(about(1)).encode())])
    (folder / "README.txt").write_text("not a record")
    single = tmp_path / "one.json"
    single.write_text(json.dumps(about(2)))

    done = taken(tmp_path, folder, single)
    assert done.records == 3
    assert done.state.releases[0].covers == ("p0", "p1", "p2")


def test_nothing_is_unpacked_to_disk_and_no_member_leads_out(tmp_path: Path) -> None:
    made = archive(
        tmp_path / "all.zip",
        [("../../../escape.json", json.dumps(about(1)).encode()), ("folder/", b"")],
    )
    before = sorted(tmp_path.rglob("*"))
    taken(tmp_path, made)

    names = {one.name for one in tmp_path.rglob("*")} - {one.name for one in before}
    assert {name for name in names if not name.startswith("feed-")} == {"feeds", "lock", "current"}
    assert not (tmp_path / "feeds" / "escape.json").exists()


def test_a_zip_bomb_is_refused_by_name(tmp_path: Path) -> None:
    padded = json.dumps(about(1))[:-1].encode() + b" " * (16 * 1024**2) + b"}"
    made = archive(tmp_path / "all.zip", [("bomb.json", padded)])

    assert made.stat().st_size < 100_000
    refused(tmp_path, made, r"all\.zip/bomb\.json is packed more than 400 times")


def test_a_member_that_is_too_large_is_refused_by_name(tmp_path: Path) -> None:
    made = tmp_path / "all.zip"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as stored:
        stored.writestr("large.json", b" " * (MAX_RECORD + 1))

    refused(tmp_path, made, r"all\.zip/large\.json unpacks to \d+ bytes")


def test_a_size_that_is_a_lie_is_found_out(tmp_path: Path) -> None:
    made = archive(tmp_path / "all.zip", [("liar.json", json.dumps(about(1)).encode())])
    content = bytearray(made.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    content[central + 24 : central + 28] = (10).to_bytes(4, "little")
    made.write_bytes(content)

    refused(tmp_path, made, r"all\.zip/liar\.json cannot be read")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused_by_name(tmp_path: Path) -> None:
    text = json.dumps(about(1)).encode()
    made = archive(tmp_path / "all.zip", [("a.json", text), ("a.json", text)])

    refused(tmp_path, made, r"all\.zip/a\.json is in the archive twice")


def test_an_archive_that_ends_early_or_was_changed_is_refused(tmp_path: Path) -> None:
    made = archive(
        tmp_path / "all.zip", [(f"{n}.json", json.dumps(about(n)).encode()) for n in range(9)]
    )
    whole = made.read_bytes()
    made.write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, made, r"all\.zip is no whole zip archive.*get it again")

    made.write_bytes(whole[:60] + bytes(8) + whole[68:])
    refused(tmp_path, made, r"all\.zip/0\.json cannot be read.*get it again")


def test_names_from_outside_are_shown_on_one_line(tmp_path: Path) -> None:
    made = archive(tmp_path / "all.zip", [("a\n\x1b[2J.json", b"torn")])

    with pytest.raises(FeedRefused) as told:
        taken(tmp_path, made)
    assert "all.zip/a\\n\\x1b[2J.json" in str(told.value)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", about(0))
    secret = write(tmp_path / "elsewhere", about(1)) / "000.json"
    (folder / "link.json").symlink_to(secret)

    refused(tmp_path, folder, r"link\.json leads to .*remove it")


def test_a_link_to_a_folder_is_refused_since_what_is_in_it_would_be_lost(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", about(0))
    (folder / "more").symlink_to(write(tmp_path / "elsewhere", about(1)))

    refused(tmp_path, folder, r"in/more is a link to a folder")


@pytest.mark.parametrize("target", ["missing.json", "loop.json"])
def test_a_link_to_nothing_is_refused(tmp_path: Path, target: str) -> None:
    folder = write(tmp_path / "in", about(0))
    (folder / "loop.json").symlink_to(target)

    with pytest.raises(FeedRefused, match=r"loop\.json"):
        taken(tmp_path, folder)


def test_a_config_map_is_read_once_though_its_files_are_links(tmp_path: Path) -> None:
    hidden = write(tmp_path / "in" / "..2026_11_26", about(0))
    (tmp_path / "in" / "..data").symlink_to(hidden.name)
    (tmp_path / "in" / "record.json").symlink_to("..data/000.json")

    assert taken(tmp_path, tmp_path / "in").records == 1


@pytest.mark.parametrize("name", ["nothing.json", "nothing.zip", "nothing"])
def test_what_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FeedRefused, match=rf"{name} is no \.json, no \.zip and no folder"):
        taken(tmp_path, tmp_path / name)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()

    with pytest.raises(FeedRefused, match="nothing to import"):
        taken(tmp_path, tmp_path / "in")


def test_a_dump_of_another_ecosystem_than_was_said_is_refused_with_its_name(tmp_path: Path) -> None:
    made = archive(tmp_path / "all.zip", [("x.json", json.dumps(about(1)).encode())])

    said = "none of 1 records is about PyPI, .* they are about Debian, so name that"
    with pytest.raises(FeedRefused, match=said):
        import_records(FeedFolder(tmp_path / "feeds"), [made], whole=["PyPI"])
