"""The two forms of a policy: the bundle of Anchore's v1 API, and the policy of v2.

They say the same of images in other words (docs/design/anchore-v2.md 4).
"""

from enum import StrEnum

import msgspec

from shared.domain.errors import InvalidPolicy
from shared.domain.policy import Bundle
from shared.domain.policy_to_v1 import to_v1
from shared.domain.policy_to_v2 import to_v2

_V1_KEYS = frozenset({"policies", "whitelists", "whitelisted_images", "blacklisted_images"})
_V2_KEYS = frozenset({"rule_sets", "allowlists", "allowlisted_images", "denylisted_images"})
_RECORD_KEYS = ("policybundle", "policy")


class Form(StrEnum):
    """Which API takes a document as it is."""

    V1 = "v1"
    V2 = "v2"


class Converted(msgspec.Struct, frozen=True):
    """A policy in the form that was wanted."""

    document: Bundle
    left_out: tuple[str, ...] = ()
    """The ways to what this form has no place for; it decides about no image."""


def form_of(document: Bundle) -> Form:
    """Which form it has; raises InvalidPolicy where it has both or neither."""
    old, new = sorted(_V1_KEYS & document.keys()), sorted(_V2_KEYS & document.keys())
    if old and new:
        raise InvalidPolicy(
            f"the document has {old[0]} of a v1 bundle and {new[0]} of a v2 policy: keep one form"
        )
    if old or new:
        return Form.V1 if old else Form.V2
    for key in _RECORD_KEYS:
        if isinstance(document.get(key), dict):
            raise InvalidPolicy(
                f"the document is a record that holds a policy: take what stands under {key}"
            )
    raise InvalidPolicy(
        "the document is no policy: it has neither policies, as a v1 bundle has, nor rule_sets, as "
        "a v2 policy has"
    )


def converted(document: Bundle, form: Form) -> Converted:
    """The policy in `form`: as it is where it has that form already. Raises InvalidPolicy."""
    if form_of(document) is form:
        return Converted(document)
    if form is Form.V2:
        return Converted(to_v2(document))
    return Converted(*to_v1(document))
