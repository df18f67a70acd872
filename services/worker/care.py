"""What one worker does for all: reconciles, keeps fresh what is in use, watches policies."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from services.worker.in_use import Surveyed
from services.worker.rounds import Rounds
from shared.domain.rules import Rules
from shared.domain.verdict import Question

Working = Callable[[], Coroutine[Any, Any, None]]


class Care:
    """The leader's work, side by side, and what its parts tell each other."""

    def __init__(
        self,
        *,
        rules: Callable[[], Rules],
        scanner: str,
        on_survey: Sequence[Callable[[Surveyed], None]] = (),
    ) -> None:
        """`scanner` is the name under which webhooks ask the workers' scanner; each of `on_survey`
        is told of each survey."""
        self._rules = rules
        self._scanner = scanner
        self._on_survey = on_survey
        self._rounds = Rounds()
        self._in_use: tuple[Question, ...] = ()

    async def all_of(self, *works: Working) -> None:
        """Do it all until cancelled; what one raises ends all."""
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work())

    def surveyed(self, found: Surveyed) -> None:
        """All that is in use was looked at."""
        self._in_use = tuple(found.questions)
        self._rounds.surveyed(found)
        for told in self._on_survey:
            told(found)

    def questions(self) -> Iterable[Question]:
        """What the rules ask, and then what is asked about what is in use."""
        rules = self._rules()
        for rule in (*rules.rules, rules.default):
            if rule.asks:
                yield rule.question(scanner=self._scanner)
        yield from self._in_use
