"""Every process follows its rules file: nobody restarts anything to change a rule."""

import json
from pathlib import Path

import aiohttp
import pytest

from shared.runtime.tls import client_context
from tests.bench.site import Site, site
from tests.fakes.images import tiny_image
from tests.fakes.registry import FakeRegistry
from tests.house import pod, review_of
from tests.waiting import eventually

pytestmark = pytest.mark.servers

HEAD = "apiVersion: imagegate.dev/v1\n"


def rules(*hosts: str, mode: str = "enforce") -> str:
    """A file for registries that speak plain HTTP."""
    entries = "".join(f"  - {{host: '{host}', insecure: true}}\n" for host in hosts)
    return f"{HEAD}default: {{mode: {mode}}}\nregistries:\n{entries}"


def pushed(registry: FakeRegistry, name: str) -> str:
    """A new image, as it is pinned."""
    content = tiny_image(config={"Labels": {"name": name}})
    return f"{registry.put(content, name)}@{content.digest}"


class Ops:
    """Changes the file, asks the webhook, reads what the processes say of themselves."""

    def __init__(self, running: Site, session: aiohttp.ClientSession) -> None:
        self._running = running
        self._session = session

    def write(self, text: str) -> None:
        """In one stroke: half of it would be another bad file."""
        written = self._running.folder / "rules.written"
        written.write_text(text)
        written.replace(self._running.folder / "rules.yaml")

    async def code(self, image: str) -> int:
        """200 for what is allowed."""
        url = f"https://127.0.0.1:{self._running.webhooks[0]}/validate?timeout=5s"
        body = json.dumps(review_of(pod(image), user="system:node:n"))
        headers = {"Content-Type": "application/json"}
        async with self._session.post(url, data=body, headers=headers) as answer:
            response = (await answer.json())["response"]
        return 200 if response["allowed"] else int(response["status"]["code"])

    async def all_say(self, *lines: str) -> bool:
        """Whether each process has these lines among its metrics."""
        for port in self._running.health:
            async with self._session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                if not set(lines) <= set((await answer.text()).splitlines()):
                    return False
        return True


async def test_a_changed_file_holds_in_every_process_and_a_bad_one_changes_nothing(
    tmp_path: Path,
) -> None:
    async with (
        FakeRegistry() as other,
        site(tmp_path, webhooks=1, workers=1, intake=True) as running,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=client_context(running.ca))
        ) as session,
    ):
        ops = Ops(running, session)
        known = pushed(running.registry, "team/app:1")
        strange, welcome = pushed(other, "team/other:1"), pushed(other, "team/other:2")

        async def answers(image: str, code: int) -> bool:
            return await ops.code(image) == code

        await eventually(lambda: answers(known, 200))
        # The worker asks a registry over plain HTTP only where the rules say so.
        await eventually(lambda: answers(strange, 403))

        ops.write(rules(running.registry.host, mode="deny"))
        await eventually(lambda: answers(known, 403))
        await eventually(lambda: ops.all_say('imagegate_rules_reloads_total{result="ok"} 1.0'))

        ops.write(rules(running.registry.host, mode="wran"))
        await eventually(
            lambda: ops.all_say(
                'imagegate_rules_reloads_total{result="bad"} 1.0', "imagegate_rules_file_ok 0.0"
            )
        )
        assert await answers(known, 403)

        ops.write(rules(running.registry.host, other.host))
        await eventually(lambda: answers(known, 200))
        # A worker that has not read it yet would refuse the other registry, for a minute.
        await eventually(lambda: ops.all_say("imagegate_rules_file_ok 1.0"))
        await eventually(lambda: answers(welcome, 200))
