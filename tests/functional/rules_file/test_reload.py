"""Live reload: what is written takes effect, and what cannot be used changes nothing."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from shared.adapters.rules_file.watching import Reloaded, RulesFile
from shared.domain.errors import InvalidRules, InvalidSettings
from shared.domain.rules import Mode, Rules
from tests.functional.rules_file.files import HEAD

PATIENCE = 30.0
"""Seconds after which nothing will come any more; it is a second or less."""

NEVER = 3_600.0
"""Seconds between looks of a file whose changes are told."""

WARN = f"{HEAD}default: {{mode: warn}}\n"
AUDIT = f"{HEAD}default: {{mode: audit}}\n"
BAD = f"{HEAD}default: {{mode: wran}}\n"


class Followed:
    """A file that is followed, and what was told of it."""

    def __init__(
        self, path: Path, *, every: float, settled: float, accept: Callable[[Rules], None]
    ) -> None:
        self.reloads: list[Reloaded] = []
        self.changes: list[Rules] = []
        self._told = asyncio.Event()
        self.file = RulesFile(
            path, accept=accept, on_reload=self._reloaded, every=every, settled=settled
        )

    def changed(self, rules: Rules) -> None:
        self.changes.append(rules)
        self._told.set()

    def _reloaded(self, result: Reloaded) -> None:
        self.reloads.append(result)
        self._told.set()

    @property
    def mode(self) -> Mode:
        return self.file.rules.default.mode

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._told.clear()
                await self._told.wait()

    async def until_reloaded(self, *reloads: Reloaded) -> None:
        await self.until(lambda: self.reloads == list(reloads))


@asynccontextmanager
async def following(
    path: Path,
    *,
    every: float = NEVER,
    settled: float = 0.1,
    accept: Callable[[Rules], None] = lambda rules: None,
) -> AsyncIterator[Followed]:
    followed = Followed(path, every=every, settled=settled, accept=accept)
    task = asyncio.create_task(followed.file.run(followed.changed))
    try:
        yield followed
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def write(path: Path, text: str) -> None:
    """In place."""
    path.write_text(text)


def put(path: Path, text: str) -> None:
    """As careful editors do: the new file takes the old one's place."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def mount(folder: Path, version: str, text: str) -> None:
    """As the kubelet does with a ConfigMap: a new folder, then one link that names it."""
    (folder / version).mkdir()
    (folder / version / "rules.yaml").write_text(text)
    link = folder / "..data_tmp"
    link.symlink_to(version)
    before = (folder / "..data").resolve()
    link.replace(folder / "..data")
    if before.name != "..data":
        (before / "rules.yaml").unlink()
        before.rmdir()


async def test_the_file_is_loaded_at_the_start(file: Path) -> None:
    write(file, WARN)
    assert RulesFile(file).rules.default.mode is Mode.WARN


async def test_a_bad_file_fails_at_the_start(file: Path) -> None:
    with pytest.raises(InvalidRules, match="no such file"):
        RulesFile(file)
    write(file, BAD)
    with pytest.raises(InvalidRules, match="'wran' is not one of"):
        RulesFile(file)


async def test_without_a_file_the_defaults_hold_for_ever() -> None:
    kept = RulesFile(None)
    assert kept.rules == Rules()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await kept.run()


async def test_a_file_that_is_written_in_place_takes_effect(file: Path) -> None:
    write(file, WARN)
    async with following(file) as followed:
        write(file, AUDIT)
        await followed.until_reloaded(Reloaded.OK)
        assert followed.mode is Mode.AUDIT
        assert [rules.default.mode for rules in followed.changes] == [Mode.AUDIT]


async def test_a_file_that_an_editor_puts_in_its_place_takes_effect_each_time(file: Path) -> None:
    write(file, WARN)
    async with following(file) as followed:
        for at in range(3):
            put(file, AUDIT if at % 2 == 0 else WARN)
            await followed.until_reloaded(*[Reloaded.OK] * (at + 1))
        assert [rules.default.mode for rules in followed.changes] == ["audit", "warn", "audit"]


async def test_a_mounted_config_map_takes_effect_each_time(tmp_path: Path) -> None:
    mount(tmp_path, "..2026_01", WARN)
    path = tmp_path / "rules.yaml"
    path.symlink_to("..data/rules.yaml")
    async with following(path) as followed:
        mount(tmp_path, "..2026_02", AUDIT)
        await followed.until_reloaded(Reloaded.OK)
        mount(tmp_path, "..2026_03", BAD)
        await followed.until_reloaded(Reloaded.OK, Reloaded.BAD)
        assert followed.mode is Mode.AUDIT
        mount(tmp_path, "..2026_04", WARN)
        await followed.until(lambda: followed.mode is Mode.WARN)


async def test_a_bad_file_keeps_the_rules_and_is_logged_once_with_the_whole_message(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, WARN)
    async with following(file, every=0.05) as followed:
        write(file, BAD)
        await followed.until_reloaded(Reloaded.BAD)
        put(file, BAD)
        await asyncio.sleep(0.5)
        assert followed.reloads == [Reloaded.BAD]
        assert followed.mode is Mode.WARN
        assert followed.changes == []
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert "the rules of before hold" in record.getMessage()
    problem = vars(record)["problem"]
    assert problem.startswith(f"{file}:2: default.mode: 'wran' is not one of")
    assert problem.endswith("the nearest valid one is 'warn'")


def _no_audit(rules: Rules) -> None:
    if rules.default.mode is Mode.AUDIT:
        raise InvalidSettings("this process cannot audit: set AUDITOR")


async def test_rules_that_the_process_cannot_follow_fail_at_the_start(file: Path) -> None:
    write(file, AUDIT)
    with pytest.raises(InvalidSettings, match="set AUDITOR"):
        RulesFile(file, accept=_no_audit)


async def test_rules_that_the_process_cannot_follow_are_as_a_bad_file(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, WARN)
    async with following(file, accept=_no_audit) as followed:
        write(file, AUDIT)
        await followed.until_reloaded(Reloaded.BAD)
        assert followed.mode is Mode.WARN
        assert followed.changes == []
        put(file, f"{HEAD}default: {{mode: enforce}}\n")
        await followed.until_reloaded(Reloaded.BAD, Reloaded.OK)
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert vars(record)["problem"] == "this process cannot audit: set AUDITOR"


def _broken(rules: Rules) -> None:
    if rules.default.mode is Mode.AUDIT:
        raise ZeroDivisionError


async def test_a_mistake_of_ours_leaves_the_rules_of_before(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that stopped would fail at its start again, and with it every review."""
    write(file, WARN)
    async with following(file, accept=_broken) as followed:
        write(file, AUDIT)
        await followed.until_reloaded(Reloaded.BAD)
        assert followed.mode is Mode.WARN
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_repaired_file_holds_again(file: Path) -> None:
    write(file, WARN)
    async with following(file) as followed:
        put(file, BAD)
        await followed.until_reloaded(Reloaded.BAD)
        put(file, AUDIT)
        await followed.until_reloaded(Reloaded.BAD, Reloaded.OK)
        assert followed.mode is Mode.AUDIT


async def test_a_file_that_is_as_before_is_counted_and_changes_nothing(file: Path) -> None:
    write(file, WARN)
    async with following(file) as followed:
        put(file, BAD)
        await followed.until_reloaded(Reloaded.BAD)
        put(file, WARN + "# a comment\n")
        await followed.until_reloaded(Reloaded.BAD, Reloaded.OK)
        assert followed.changes == []


async def test_a_file_that_is_gone_keeps_the_rules(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, WARN)
    async with following(file) as followed:
        await asyncio.to_thread(file.unlink)
        await followed.until_reloaded(Reloaded.BAD)
        assert followed.mode is Mode.WARN
        assert "no such file" in vars(caplog.records[-1])["problem"]
        write(file, AUDIT)
        await followed.until(lambda: followed.mode is Mode.AUDIT)


async def test_a_folder_that_was_replaced_is_followed_on(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "rules.yaml"
    write(file, WARN)
    async with following(file, every=0.2) as followed:
        folder.rename(tmp_path / "old")
        folder.mkdir()
        write(file, AUDIT)
        await followed.until(lambda: followed.mode is Mode.AUDIT)
        put(file, WARN)
        await followed.until(lambda: followed.mode is Mode.WARN)


async def test_half_a_file_never_holds(file: Path) -> None:
    """Half of it can be rules, too: here it would deny nothing."""
    write(file, WARN)
    whole = f"{HEAD}default: {{mode: audit}}\nallowRegistries: [a.b]\n"
    async with following(file, every=0.05, settled=4.0) as followed:
        for end in range(len(HEAD), len(whole), 10):
            write(file, whole[:end])
            await asyncio.sleep(0.02)
        write(file, whole)
        await followed.until(lambda: followed.mode is Mode.AUDIT)
        assert followed.file.rules.allow_registries == ("a.b",)
        assert followed.reloads == [Reloaded.OK]


async def test_a_change_that_nobody_is_told_of_is_found(tmp_path: Path) -> None:
    """Where a link leads into a folder that is not watched, no event comes."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "rules.yaml").write_text(WARN)
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "rules.yaml"
    path.symlink_to(elsewhere / "rules.yaml")
    async with following(path, every=0.2) as followed:
        put(elsewhere / "rules.yaml", AUDIT)
        await followed.until(lambda: followed.mode is Mode.AUDIT)


async def test_reading_the_file_is_no_change_of_it(file: Path) -> None:
    write(file, WARN)
    async with following(file, every=0.05) as followed:
        for _ in range(10):
            await asyncio.to_thread(file.read_text)
            os.utime(file)
            await asyncio.sleep(0.05)
        assert followed.reloads == []
