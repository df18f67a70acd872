"""The tags of a repository, page by page."""

from collections.abc import Sequence

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


async def pages_of(
    registry: FakeRegistry, client: RegistryClient, *answers: Fault
) -> list[Sequence[str]]:
    """What is told of these, one after the other."""
    left = iter(answers)

    async def fault(request: web.Request) -> web.StreamResponse:
        return await next(left)(request)

    registry.fault("tags", fault)
    pages = client.tags(parse_reference(f"{registry.host}/team/app"))
    return [page async for page in pages]


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
    client = await open_client(rules_for(registry))
    first = sends({"tags": ["1"]}, Link=link)
    assert await pages_of(registry, client, first, sends({"tags": ["2"]})) == [["1"], ["2"]]
    assert (other.requests, registry.requests[-1].query["last"]) == ([], "1")


async def test_a_tag_that_stands_on_two_pages_comes_once(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    """Of a list that moves while it is read."""
    client = await open_client(rules_for(registry))
    first = sends({"tags": ["1", "2"]}, Link='</v2/team/app/tags/list?last=2>; rel="next"')
    assert await pages_of(registry, client, first, sends({"tags": ["2", "3"]})) == [
        ["1", "2"],
        ["3"],
    ]


@pytest.mark.parametrize(
    "link",
    [
        "</v2/team/app/tags/list?last=1>; rel=next",
        '</v2/team/app/tags/list?last=1>;type="x/y"; Rel = "next"',
        '</v2/team/app/tags/list?last=1>; rel="last next"',
        '</v2/team/app/tags/list?n=1>; rel="first", </v2/team/app/tags/list?last=1>; rel="next"',
        f'</v2/team/app/tags/list?last=1&token={"x" * 5_000}>; rel="next"',
    ],
)
async def test_the_next_page_is_found_however_its_link_is_written(
    registry: FakeRegistry, open_client: OpenClient, link: str
) -> None:
    client = await open_client(rules_for(registry))
    first = sends({"tags": ["1"]}, Link=link)
    assert await pages_of(registry, client, first, sends({"tags": ["2"]})) == [["1"], ["2"]]
    assert registry.requests[-1].query["last"] == "1"


@pytest.mark.parametrize(
    "link",
    [
        '</v2/team/app/tags/list/page/2>; rel="next"',
        '<>; rel="next"',
        '<http://[?last=1>; rel="next"',
    ],
)
async def test_a_list_that_goes_on_and_does_not_say_where_is_not_taken_for_all(
    registry: FakeRegistry, open_client: OpenClient, link: str
) -> None:
    client = await open_client(rules_for(registry))
    with pytest.raises(PermanentFailure, match="goes on, and does not say where") as raised:
        await pages_of(registry, client, sends({"tags": ["1"]}, Link=link))
    assert raised.value.kind is ErrorKind.UNTRUSTED


async def test_a_link_to_anything_else_ends_the_list(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    client = await open_client(rules_for(registry))
    links = '</v2/team/app/tags/list?n=1>; rel="first", </docs?x=1>; rel="nextcloud"; title="next"'
    assert await pages_of(registry, client, sends({"tags": ["1"]}, Link=links)) == [["1"]]


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
