"""The tags of a repository, page by page."""

import pytest
from aiohttp import web

from shared.adapters.registry.client import RegistryClient
from shared.adapters.registry.limits import MAX_TAG_PAGES
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from shared.ports.tags import MAX_TAGS
from tests.fakes.images import tiny_image
from tests.fakes.registry import FakeRegistry, Fault
from tests.functional.registry.conftest import OpenClient


async def listed(client: RegistryClient, repository: str) -> list[str]:
    """All of them."""
    pages = client.tags(parse_reference(repository))
    return [tag async for page in pages for tag in page]


def rules_for(registry: FakeRegistry) -> Rules:
    return Rules(registries=(RegistryRule(host=registry.host, insecure=True),))


def sends(body: object, **headers: str) -> Fault:
    async def fault(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, headers=headers)

    return fault


async def test_all_tags_come_however_few_a_page_has(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    for at in range(7):
        registry.put(tiny_image(), f"team/app:{at}.0")
    registry.put(tiny_image(), "team/other:1")
    registry.page = 3
    client = await open_client(rules_for(registry))
    assert await listed(client, f"{registry.host}/team/app") == [f"{at}.0" for at in range(7)]
    assert len(registry.asked("tags/list")) == 3


async def test_a_repository_that_is_not_there_is_told(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    client = await open_client(rules_for(registry))
    with pytest.raises(PermanentFailure, match="NAME_UNKNOWN") as raised:
        await listed(client, f"{registry.host}/team/gone")
    assert raised.value.kind is ErrorKind.NOT_FOUND


async def test_a_registry_that_the_rules_do_not_allow_is_not_asked(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    client = await open_client(Rules(allow_registries=("registry.corp",)))
    with pytest.raises(PermanentFailure, match="do not allow"):
        await listed(client, f"{registry.host}/team/app")
    assert registry.requests == []


async def test_a_link_leads_to_no_other_server(
    registry: FakeRegistry, other: FakeRegistry, open_client: OpenClient
) -> None:
    registry.put(tiny_image(), "team/app:1")
    link = f'<{other.url}/v2/team/app/tags/list?last=1&n=1>; rel="next"'
    answers = iter([sends({"tags": ["1"]}, Link=link), sends({"tags": ["2"]})])

    async def fault(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    registry.fault("tags", fault)
    client = await open_client(rules_for(registry))
    assert await listed(client, f"{registry.host}/team/app") == ["1", "2"]
    assert (other.requests, registry.requests[-1].query["last"]) == ([], "1")


async def test_pages_without_an_end_are_ended(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    link = '</v2/team/app/tags/list?last=1&n=1>; rel="next"'
    registry.fault("tags", sends({"tags": ["1"]}, Link=link))
    client = await open_client(rules_for(registry))
    with pytest.raises(PermanentFailure, match="do not end"):
        await listed(client, f"{registry.host}/team/app")
    assert len(registry.requests) == MAX_TAG_PAGES


async def test_more_tags_than_anybody_waits_for_are_refused(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    registry.fault("tags", sends({"tags": [f"t{at}" for at in range(MAX_TAGS + 1)]}))
    client = await open_client(rules_for(registry))
    with pytest.raises(PermanentFailure, match=f"more than {MAX_TAGS} tags"):
        await listed(client, f"{registry.host}/team/app")


@pytest.mark.parametrize(
    ("body", "tags"),
    [({"name": "x", "tags": None}, []), ({"tags": ["1", "1", "a b", "-x", "é", ""]}, ["1"])],
)
async def test_what_is_no_tag_is_left_out(
    registry: FakeRegistry, open_client: OpenClient, body: object, tags: list[str]
) -> None:
    registry.fault("tags", sends(body))
    client = await open_client(rules_for(registry))
    assert await listed(client, f"{registry.host}/team/app") == tags


async def test_what_is_no_list_is_told(registry: FakeRegistry, open_client: OpenClient) -> None:
    registry.fault("tags", sends({"tags": [1, 2]}))
    client = await open_client(rules_for(registry))
    with pytest.raises(PermanentFailure, match="no list of tags"):
        await listed(client, f"{registry.host}/team/app")
