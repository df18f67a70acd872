"""Whitelists: looked up in an index, with an end where one is written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scanner.bundles.shapes import WrittenItem, WrittenWhitelist
from services.scanner.bundles.whitelists import Whitelist
from tests.unit.scanner.samples import NOW, bundle_of, evaluated, facts, rule

AT = datetime.fromtimestamp(NOW / 1000, UTC)
GATES = st.sampled_from(["packages", "vulnerabilities"])
IDS = st.text("ab+", min_size=1, max_size=4)
ITEMS = st.lists(
    st.builds(
        WrittenItem,
        gate=GATES,
        trigger_id=st.builds(lambda text, star: text + star, IDS, st.sampled_from(["", "*"])),
    ),
    max_size=8,
)


def numbered(items: list[WrittenItem]) -> tuple[WrittenItem, ...]:
    return tuple(
        WrittenItem(item.gate, item.trigger_id, str(place)) for place, item in enumerate(items)
    )


@given(ITEMS, GATES, IDS)
def test_the_index_finds_what_comparing_one_by_one_would(
    items: list[WrittenItem], gate: str, trigger_id: str
) -> None:
    written = numbered(items)
    first = next(
        (
            item.id
            for item in written
            if item.gate == gate
            and (
                trigger_id.startswith(item.trigger_id[:-1])
                if item.trigger_id.endswith("*")
                else trigger_id == item.trigger_id
            )
        ),
        None,
    )

    found = Whitelist(WrittenWhitelist("w", written)).covering(gate, trigger_id, NOW)
    assert (found and found.matched_rule_id) == first


def whitelisted(*items: dict[str, Any]) -> dict[str, Any]:
    bundle = bundle_of(rule("always", "always"))
    bundle["whitelists"][0]["items"] = [
        {"id": str(place), "gate": "always"} | item for place, item in enumerate(items)
    ]
    return bundle


@pytest.mark.parametrize(
    ("expires_on", "counts"),
    [
        (AT + timedelta(seconds=1), False),
        (AT, True),
        (AT - timedelta(days=1), True),
    ],
)
def test_an_item_that_has_ended_excuses_nothing(expires_on: datetime, counts: bool) -> None:
    bundle = whitelisted({"trigger_id": "*", "expires_on": expires_on.isoformat()})

    assert (evaluated(facts(), bundle=bundle).final_action == "stop") is counts


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.000Z"])
def test_the_end_is_written_as_engine_writes_it(form: str) -> None:
    later = (AT + timedelta(days=1)).strftime(form)

    bundle = whitelisted({"trigger_id": "*", "expires_on": later})
    assert evaluated(facts(), bundle=bundle).final_action == "go"


def test_another_item_takes_over_when_one_has_ended() -> None:
    ended = (AT - timedelta(days=1)).isoformat()

    bundle = whitelisted({"trigger_id": "*", "expires_on": ended}, {"trigger_id": "*"})
    (row,) = evaluated(facts(), bundle=bundle).rows
    assert row.whitelisted
    assert row.whitelisted.matched_rule_id == "1"


def test_the_first_whitelist_that_the_mapping_names_excuses() -> None:
    bundle = whitelisted({"trigger_id": "*"})
    bundle["whitelists"].append(
        {"id": "second", "version": "1_0", "items": [{"gate": "always", "trigger_id": "*"}]}
    )
    bundle["mappings"][0]["whitelist_ids"].insert(0, "second")

    (row,) = evaluated(facts(), bundle=bundle).rows
    assert row.whitelisted
    assert row.whitelisted.whitelist_id == "second"
