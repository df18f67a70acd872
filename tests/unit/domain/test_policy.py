"""The revision of a policy bundle is its content's and nothing else's."""

import hashlib
import json

from shared.domain.policy import Bundle, bundle_revision

BUNDLE: Bundle = {"id": "baseline", "name": "é \u2028 x", "policies": [{"id": "p", "n": 1}]}


def test_the_order_of_the_keys_makes_no_difference() -> None:
    turned = dict(reversed(list(BUNDLE.items())))
    turned["policies"] = [{"n": 1, "id": "p"}]
    assert bundle_revision(turned) == bundle_revision(BUNDLE)


def test_any_other_content_is_another_revision() -> None:
    assert bundle_revision(BUNDLE | {"name": "other"}) != bundle_revision(BUNDLE)
    assert bundle_revision(BUNDLE | {"policies": []}) != bundle_revision(BUNDLE)


def test_anybody_can_compute_it_from_the_json() -> None:
    text = json.dumps(BUNDLE, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert bundle_revision(BUNDLE) == hashlib.sha256(text.encode()).hexdigest()


def test_what_anchore_adds_when_it_stores_a_bundle_is_no_content() -> None:
    stored = BUNDLE | {"active": True, "last_updated": 1795446327}
    assert bundle_revision(stored) == bundle_revision(BUNDLE)
    # Deeper down the same words are content.
    inner: Bundle = {**BUNDLE, "policies": [{"id": "p", "n": 1, "active": True}]}
    assert bundle_revision(inner) != bundle_revision(BUNDLE)
