"""The part of the schema that is about rules: matches, and what holds for them."""

from shared.adapters.rules_file import matches
from shared.adapters.rules_file.rules import MAX_NAME, PINS
from shared.adapters.rules_file.schema_shapes import (
    Schema,
    fields,
    list_of,
    one_of,
    text,
    texts_by_key,
)
from shared.adapters.rules_file.times import DURATION
from shared.domain import image_pattern, namespace_pattern
from shared.domain.label import LABEL_KEY, LABEL_VALUE
from shared.domain.rules import Mode, Requirement, Tags

IMAGE = (
    rf"(?:\*\*|{image_pattern.HOST})(?:/{image_pattern.PART})*"
    rf"(?::{image_pattern.TAG})?(?:@{image_pattern.DIGEST})?"
)
NAMES_A_TAG = r"^[^@]*:[^/@]+(?:@|$)"
ASCII = "[ -~]+"


def _terms() -> dict[str, Schema]:
    return {
        "mode": one_of(
            "enforce: denied unless it is known to be good. warn: allowed with a warning. audit: "
            "allowed, in audit annotations and metrics only. allow: allowed without asking "
            "anybody. deny: denied without asking anybody. Left out: enforce.",
            Mode,
        ),
        "require": one_of(
            "policy: must pass it. analysis: analysed is enough. Left out: policy.", Requirement
        ),
        "policy": fields(
            "Whose policy is asked. Left out: the active one of the credentials' account.",
            {
                "account": text("Anchore's account.", ASCII),
                "id": text("The policy's id in that account.", ASCII),
            },
        ),
        "turnGrace": text(
            "For how long an image goes on to run when a fail replaces its pass, 7d at most. Left "
            "out: denied at once.",
            DURATION,
            examples=["24h"],
        ),
        "pin": one_of(
            "pods: tags of pods are replaced by digests. none: they stay, for operators that "
            "compare their pods with what they wrote. Left out: as the webhook is set.",
            PINS,
        ),
        "tags": one_of(
            "pinned: a tag that is not pinned to a digest is denied. allow: it is warned of. Left "
            "out: as the webhook is set.",
            Tags,
        ),
    }


def default_schema() -> Schema:
    """`default`."""
    what = "What holds where no rule matches. Left out: mode enforce, the active policy."
    return fields(what, _terms(), conditions=[_asks_nobody()])


def rule_schema() -> Schema:
    """One of `rules`."""
    return fields(
        "Which images of which objects, and what holds for them.",
        {
            "name": text(
                "Told in answers and audit annotations; unique, and not `default`.",
                r"\S(.*\S)?",
                most=MAX_NAME,
            )
            | {"not": {"const": "default"}},
            "match": _match(),
            **_terms(),
        },
        required=["name", "match"],
        conditions=[_asks_nobody(), _only_adds(), _no_tags()],
    )


def _match() -> Schema:
    label = text("Its value.", LABEL_VALUE, least=0)
    return fields(
        "All that is named must fit, and of each list one.",
        {
            "namespaces": list_of(
                "Globs: * and ?.", text("team-*, or a name.", namespace_pattern.PATTERN)
            ),
            "namespaceLabels": texts_by_key(
                "Labels of the namespace, which need the Kubernetes API. Where they are not known, "
                "the image is denied.",
                label,
                keys=LABEL_KEY,
            ),
            "images": list_of(
                "Globs on the normalised reference: * stops at a slash, ** stands alone between "
                "slashes. A tag only in rules of mode deny.",
                text("registry.corp/**, or docker.io/library/redis.", IMAGE),
            ),
            "users": list_of("Globs: who asks.", text("system:serviceaccount:ci:*")),
            "labels": texts_by_key(
                "Labels of the object. Such a rule only adds a demand.",
                label,
                keys=LABEL_KEY,
            ),
            "annotations": texts_by_key(
                "Annotations of the object. Such a rule only adds a demand.",
                text("Its value.", least=0),
                keys=LABEL_KEY,
            ),
            "kinds": list_of(
                "Kinds of objects. Such a rule only adds a demand.",
                one_of("A Pod, or what makes pods.", matches.KINDS),
            ),
        },
    ) | {"minProperties": 1}


def _asks_nobody() -> Schema:
    return {
        "if": {
            "required": ["mode"],
            "properties": {"mode": {"enum": [Mode.ALLOW.value, Mode.DENY.value]}},
        },
        "then": {"properties": {key: False for key in _terms() if key != "mode"}},
    }


def _only_adds() -> Schema:
    by_author = [{"required": [key]} for key in ("labels", "annotations", "kinds")]
    return {
        "if": {"required": ["match"], "properties": {"match": {"anyOf": by_author}}},
        "then": {
            "properties": {
                "mode": {"enum": [Mode.ENFORCE.value, Mode.DENY.value]},
                "turnGrace": False,
                "pin": {"not": {"const": "none"}},
                "tags": {"not": {"const": Tags.ALLOW.value}},
            }
        },
    }


def _no_tags() -> Schema:
    untagged = {"not": {"type": "string", "pattern": NAMES_A_TAG}}
    images = {"type": "object", "properties": {"images": {"items": untagged}}}
    return {
        "if": {"not": {"required": ["mode"], "properties": {"mode": {"const": Mode.DENY.value}}}},
        "then": {"properties": {"match": images}},
    }
