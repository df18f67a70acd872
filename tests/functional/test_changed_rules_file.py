"""A rules file that is followed, down to the answers: what is written into it decides the next
reviews, and a file that cannot be used changes none (docs/design/behaviour.md 4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.adapters.rules_file.watching import Reloaded, RulesFile
from shared.domain.rules import Rules
from tests.functional.ruling.asking import ENFORCE, ask, failed, ledger, push
from tests.house import House, house
from tests.waiting import eventually

HEAD = "apiVersion: imagegate.dev/v1\n"


def excepting(image: str, *findings: str, lasts: timedelta = timedelta(hours=1)) -> str:
    """A rules file with an exception for each finding, in the order in which they are given."""
    expires = (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
    entries = (
        f"  - {{image: '{image}', findings: [{finding}], namespaces: [team], "
        f"reason: no fix yet, owner: team-a, expires: {expires}}}\n"
        for finding in findings
    )
    return f"{HEAD}exceptions:\n{''.join(entries)}"


@asynccontextmanager
async def followed(home: House, file: Path) -> AsyncIterator[list[Reloaded]]:
    """As a webhook process follows its rules file; how reading it again ended each time."""
    reloads: list[Reloaded] = []
    rules = RulesFile(file, on_reload=reloads.append)
    home.book.rules_changed(rules.rules)
    task = asyncio.create_task(rules.run(home.book.rules_changed))
    try:
        yield reloads
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_exception_counts_while_it_stands_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(HEAD)
    async with house(tmp_path / "state", rules=Rules(default=ENFORCE), worker=False) as home:
        image = push(home)
        await ledger(home).write_verdict(failed(image, "CVE-1", "CVE-2"), chain="")

        async def answers(code: int) -> bool:
            return (await ask(home, str(image))).code == code

        async with followed(home, file) as reloads:
            assert await answers(403)
            file.write_text(excepting(image.repository, "CVE-2", "CVE-1"))
            await eventually(lambda: answers(200))
            file.write_text(f"{HEAD}excepshuns: []\n")
            await eventually(lambda: reloads[-1] is Reloaded.BAD)
            assert await answers(200)
            file.write_text(excepting(image.repository, "CVE-1"))
            await eventually(lambda: answers(403))
            file.write_text(excepting(image.repository, "CVE-1", "CVE-2"))
            await eventually(lambda: answers(200))
            past = excepting(image.repository, "CVE-1", "CVE-2", lasts=-timedelta(hours=1))
            file.write_text(past)
            await eventually(lambda: answers(403))
