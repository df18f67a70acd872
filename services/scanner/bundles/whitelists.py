"""Whitelists: findings that do not count, looked up rather than compared one by one."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from services.scanner.bundles.problems import Problem
from services.scanner.bundles.rules import unknown_gate
from services.scanner.bundles.shapes import WrittenItem, WrittenWhitelist


class WhitelistEntry(msgspec.Struct, frozen=True):
    """An entry of a whitelist, in the shape of Engine's column `Whitelisted`."""

    matched_rule_id: str
    whitelist_id: str
    whitelist_name: str


class _Item(msgspec.Struct, frozen=True):
    place: int
    entry: WhitelistEntry
    until: float | None
    """ms since the epoch; None: for ever."""


class Whitelist:
    """The items of one whitelist, by gate and trigger id."""

    def __init__(self, written: WrittenWhitelist) -> None:
        self.id = written.id
        self._exact: dict[tuple[str, str], list[_Item]] = {}
        self._begins: dict[tuple[str, str], list[_Item]] = {}
        for place, item in enumerate(written.items):
            text = item.trigger_id
            index, key = (self._begins, text[:-1]) if text.endswith("*") else (self._exact, text)
            index.setdefault((item.gate.lower(), key), []).append(
                _Item(place, WhitelistEntry(item.id, written.id, written.name), _until(item))
            )
        self._lengths = sorted({len(begin) for _, begin in self._begins})

    def covering(self, gate: str, trigger_id: str, now: int) -> WhitelistEntry | None:
        """The first item that is about a finding and has not ended. `now`: ms since the epoch."""
        found = [
            item for item in self._about(gate, trigger_id) if item.until is None or now < item.until
        ]
        return min(found, key=lambda item: item.place).entry if found else None

    def _about(self, gate: str, trigger_id: str) -> Iterator[_Item]:
        yield from self._exact.get((gate, trigger_id), ())
        for length in self._lengths:
            if length <= len(trigger_id):
                yield from self._begins.get((gate, trigger_id[:length]), ())


def item_problems(item: WrittenItem) -> Iterator[Problem]:
    """What is wrong with an item of a whitelist."""
    where = f"(whitelist_item={item.id},gate={item.gate}"
    if problem := unknown_gate(item.gate.lower(), where):
        yield problem
    if "*" in item.trigger_id[:-1] or not item.trigger_id.strip():
        yield Problem(
            "UnsupportedError",
            "Not supported by this scanner: a whitelisted trigger_id may hold * at its end only "
            f"{where},trigger_id={item.trigger_id!r})",
        )
    elif item.trigger_id.strip().startswith("regexp:"):
        yield Problem(
            "UnsupportedError",
            "Not supported by this scanner: a whitelisted trigger_id as regular expression "
            f"{where},trigger_id={item.trigger_id!r})",
        )
    try:
        _until(item)
    except ValueError as error:
        yield Problem(
            "ValidationError",
            f"expires_on is no time such as 2030-01-31T00:00:00Z {where},"
            f"expires_on={item.expires_on!r}): {error}",
        )


def _until(item: WrittenItem) -> float | None:
    """Raises ValueError."""
    if not item.expires_on:
        return None
    at = datetime.fromisoformat(item.expires_on)
    if at.tzinfo is None:
        raise ValueError("it names no time zone")
    return at.timestamp() * 1000
