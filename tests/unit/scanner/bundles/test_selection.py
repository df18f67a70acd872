"""Which images an entry of a bundle is for."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scanner.bundles.selection import fits
from tests.unit.scanner.samples import DIGEST, IMAGE_ID, bundle_of, evaluated, facts, rule

ALWAYS = rule("always", "always")
ANY = {"type": "tag", "value": "*"}


def entry(**changes: Any) -> dict[str, Any]:
    return {"id": "e1", "name": "", "registry": "*", "repository": "*", "image": ANY} | changes


def mapped(*entries: dict[str, Any]) -> dict[str, Any]:
    bundle = bundle_of(ALWAYS)
    bundle["mappings"] = [
        one | {"policy_id": "oci-baseline-policy", "whitelist_ids": []} for one in entries
    ]
    return bundle


def as_regular_expression(pattern: str, text: str) -> bool:
    pieces = map(re.escape, pattern.split("*"))
    return re.fullmatch("(?s:.*)".join(pieces), text) is not None


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_a_pattern_fits_what_the_regular_expression_would(pattern: str, text: str) -> None:
    assert fits(pattern, text) is as_regular_expression(pattern, text)


@given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
def test_a_star_stands_for_anything_and_all_else_for_itself(
    begin: str, middle: str, end: str
) -> None:
    assert fits(f"{begin}*{end}", f"{begin}{middle}{end}")
    assert fits(begin, begin)
    assert fits("*", middle)


def test_no_pattern_takes_long() -> None:
    assert not fits("*a" * 5_000 + "*b", "a" * 10_000)


@pytest.mark.parametrize(
    ("image", "matches"),
    [
        ({"type": "digest", "value": DIGEST}, True),
        ({"type": "digest", "value": "sha256:" + "0" * 64}, False),
        ({"type": "id", "value": IMAGE_ID}, True),
        ({"type": "id", "value": "0" * 64}, False),
        ({"type": "tag", "value": "1.*"}, True),
    ],
)
def test_an_image_is_selected_by_tag_digest_or_id(image: dict[str, str], matches: bool) -> None:
    outcome = evaluated(facts(), bundle=mapped(entry(image=image)))

    assert (outcome.mapping is not None) is matches


def test_registry_and_repository_count_beside_a_digest() -> None:
    by_digest = {"type": "digest", "value": DIGEST}

    assert evaluated(facts(), bundle=mapped(entry(image=by_digest, repository="team/*"))).mapping
    assert not evaluated(facts(), bundle=mapped(entry(image=by_digest, repository="x/*"))).mapping
    assert not evaluated(facts(), bundle=mapped(entry(image=by_digest, registry="x"))).mapping


def test_a_mapping_by_digest_leaves_others_to_the_next_one() -> None:
    """With Engine it would break the check of every other image."""
    other = entry(id="m1", image={"type": "digest", "value": "sha256:" + "0" * 64})

    outcome = evaluated(facts(), bundle=mapped(other, entry(id="m2")))
    assert outcome.mapping is not None
    assert outcome.mapping["id"] == "m2"


def listed(
    *, white: dict[str, Any] | None = None, black: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    bundle = bundle_of(ALWAYS) | {
        "whitelisted_images": [white] if white else [],
        "blacklisted_images": [black] if black else [],
    }
    bundle["mappings"][0].update(changes)
    return bundle


def test_a_whitelisted_image_passes_with_its_rows_to_be_seen() -> None:
    white = entry(id="w1", repository="team/app")

    outcome = evaluated(facts(), bundle=listed(white=white))
    assert (outcome.status, outcome.final_action, outcome.reason) == ("pass", "go", "whitelisted")
    assert [row.action for row in outcome.rows] == ["stop"]
    assert outcome.policy_action == "stop"
    assert outcome.whitelisted == white


def test_a_blacklisted_image_fails_whatever_its_rows_say() -> None:
    bundle = listed(black=entry(id="b1", repository="team/app"))
    bundle["policies"][0]["rules"] = []

    outcome = evaluated(facts(), bundle=bundle)
    assert (outcome.status, outcome.final_action, outcome.reason) == ("fail", "stop", "blacklisted")
    assert outcome.policy_action == "go"


def test_a_blacklist_goes_before_a_whitelist() -> None:
    outcome = evaluated(facts(), bundle=listed(white=entry(), black=entry()))

    assert (outcome.final_action, outcome.reason) == ("stop", "blacklisted")
    assert outcome.whitelisted is not None


def test_a_list_of_other_images_changes_nothing() -> None:
    other = entry(repository="team/other")

    outcome = evaluated(facts(), bundle=listed(white=other, black=other))
    assert (outcome.final_action, outcome.reason) == ("stop", "policy_evaluation")
    assert (outcome.whitelisted, outcome.blacklisted) == (None, None)


def test_listed_images_need_no_mapping() -> None:
    white = evaluated(facts(), bundle=listed(white=entry(), repository="team/other"))
    black = evaluated(facts(), bundle=listed(black=entry(), repository="team/other"))
    assert (white.final_action, white.reason, white.problems) == ("go", "whitelisted", ())
    assert (black.final_action, black.reason) == ("stop", "blacklisted")


def test_an_image_is_not_whitelisted_where_a_rule_could_not_be_evaluated() -> None:
    bundle = listed(white=entry())
    bundle["policies"][0]["rules"] = [
        rule("metadata", "attribute", attribute="os_type", check="=", value="linux")
    ]

    outcome = evaluated(facts(), bundle=bundle)
    assert (outcome.status, outcome.reason) == ("fail", "policy_evaluation")
