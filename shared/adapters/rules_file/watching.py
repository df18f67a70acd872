"""The rules that hold now: a file that is read again when it changes.

A file that cannot be used changes nothing, is told once and counted; at the start it is an error.
An event is only a reason to look. What counts is the content, once it stays the same for a moment:
an editor may have written half of it, and half a file can be rules, too.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path

from shared.adapters.rules_file.document import read_content
from shared.adapters.rules_file.loading import load_rules, parse_rules
from shared.adapters.watching import EVERY, changes_in
from shared.domain.errors import ImagegateError, InvalidRules
from shared.domain.rules import Rules

log = logging.getLogger(__name__)

SETTLED = 0.2
"""Seconds: whoever writes a file in several pieces does not pause for so long."""


class Reloaded(StrEnum):
    """What became of a file that changed."""

    OK = "ok"
    BAD = "bad"


OnChange = Callable[[Rules], None]
OnReload = Callable[[Reloaded], None]


def _unheard(_: object) -> None:
    pass


class RulesFile:
    """Loads a file at once, and follows it while `run` runs. Raises InvalidRules, and
    InvalidSettings for rules that `accept` refuses."""

    def __init__(
        self,
        path: Path | None,
        *,
        accept: OnChange = _unheard,
        on_reload: OnReload = _unheard,
        every: float = EVERY,
        settled: float = SETTLED,
    ) -> None:
        """`path`: none, and the defaults hold for ever. `accept`: called before rules count; raises
        InvalidSettings for such as this process cannot follow. `on_reload`: told of each
        change of the file. `every`: seconds after which it is looked at, whatever the system tells.
        `settled`: seconds in which it must not change any more."""
        self._path = path
        self._accept = accept
        self._on_reload = on_reload
        self._every = every
        self._settled = settled
        self._content = read_content(path) if path is not None else None
        self._rules = _parsed(path, self._content) if path is not None else Rules()
        accept(self._rules)

    @property
    def rules(self) -> Rules:
        """What holds now."""
        return self._rules

    async def run(self, on_change: OnChange = _unheard) -> None:
        """Follow the file until cancelled; `on_change`: called with each new state of the rules."""
        if self._path is None:
            await asyncio.Event().wait()
            return
        async with aclosing(changes_in(self._path.parent, every=self._every)) as changes:
            async for _ in changes:
                await self._look(self._path, on_change)

    async def _look(self, path: Path, on_change: OnChange) -> None:
        content = await self._read(path)
        if content == self._content:
            return
        self._content = content
        rules = await self._loaded(path, content)
        if rules is None:
            self._on_reload(Reloaded.BAD)
            return
        changed, self._rules = rules != self._rules, rules
        log.info(
            "the rules file was read again",
            extra={
                "file": str(path),
                "changed": changed,
                "rules": len(rules.rules),
                "exceptions": len(rules.exceptions),
            },
        )
        self._on_reload(Reloaded.OK)
        if changed:
            on_change(rules)

    async def _loaded(self, path: Path, content: bytes | None) -> Rules | None:
        """None for what cannot be used; why is in the log."""
        try:
            rules = await asyncio.to_thread(_parsed, path, content)
            self._accept(rules)
        except Exception as error:  # a mistake of ours, too: what runs has rules
            log.error(
                "the rules file cannot be used: the rules of before hold until it is mended",
                extra={"problem": str(error)},
                exc_info=None if isinstance(error, ImagegateError) else error,
            )
            return None
        return rules

    async def _read(self, path: Path) -> bytes | None:
        """The content once it stays; None where there is none to be had."""
        content = await asyncio.to_thread(_read, path)
        while content != self._content:
            await asyncio.sleep(self._settled)
            before, content = content, await asyncio.to_thread(_read, path)
            if content == before:
                break
        return content


def _read(path: Path) -> bytes | None:
    try:
        return read_content(path)
    except InvalidRules:
        return None


def _parsed(path: Path, content: bytes | None) -> Rules:
    # A file that could not be read is read again for what is wrong with it.
    return parse_rules(content, path=path) if content is not None else load_rules(path)
