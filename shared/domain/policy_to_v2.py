"""A v1 policy bundle as a v2 policy, field by field (docs/design/anchore-v2.md 4)."""

from shared.domain.errors import InvalidPolicy
from shared.domain.policy import BOOKKEEPING, Bundle
from shared.domain.policy_parts import Fields, Part
from shared.domain.policy_words import v2_trigger, v2_value

V1 = "v1"
VERSION = "2"
ACTIONS = ("GO", "WARN", "STOP")
IMAGE_TYPES = ("tag", "digest", "id")


def to_v2(bundle: Bundle) -> Bundle:
    """Raises InvalidPolicy, for anything that v2 cannot say."""
    whole = Part(bundle)
    whole.only(
        *("id", "name", "comment", "version", "policies", "whitelists", "mappings"),
        *("whitelisted_images", "blacklisted_images", *sorted(BOOKKEEPING)),
        form=V1,
    )
    policies, whitelists, mappings = set[str](), set[str](), set[str]()
    return {
        **_named(whole, whole.text("id")),
        "rule_sets": [_rule_set(one, policies) for one in whole.each("policies")],
        "allowlists": [_allowlist(one, whitelists) for one in whole.each("whitelists")],
        "mappings": [_mapping(one, mappings) for one in whole.each("mappings")],
        "allowlisted_images": _images(whole, "whitelisted_images"),
        "denylisted_images": _images(whole, "blacklisted_images"),
    }


def _named(part: Part, identity: str) -> Fields:
    """Id, name, description and version, as document, rule set and allowlist have them."""
    part.one_of("version", "1_0")
    return {
        "id": identity,
        "name": part.text_or("name", identity),
        **part.kept("comment", "description"),
        "version": VERSION,
    }


def _rule_set(policy: Part, taken: set[str]) -> Fields:
    policy.only("id", "name", "comment", "version", "rules", form=V1)
    policy.text("id")
    rules: set[str] = set()
    return {
        **_named(policy, policy.made_id(taken)),
        "artifact_type": "image",
        "rules": [_rule(rule, rules) for rule in policy.each("rules")],
    }


def _rule(rule: Part, taken: set[str]) -> Fields:
    rule.only("id", "gate", "trigger", "action", "params", form=V1)
    return {
        "id": rule.made_id(taken),
        "gate": rule.text("gate"),
        "trigger": v2_trigger(rule),
        "action": rule.one_of("action", *ACTIONS),
        "params": [_param(param) for param in rule.each("params")],
    }


def _param(param: Part) -> Fields:
    param.only("name", "value", form=V1)
    name = param.text("name")
    return {"name": name, "value": v2_value(name, param.text_or("value", ""))}


def _allowlist(whitelist: Part, taken: set[str]) -> Fields:
    whitelist.only("id", "name", "comment", "version", "items", form=V1)
    whitelist.text("id")
    items: set[str] = set()
    return {
        **_named(whitelist, whitelist.made_id(taken)),
        "items": [_item(item, items) for item in whitelist.each("items")],
    }


def _item(item: Part, taken: set[str]) -> Fields:
    item.only("id", "gate", "trigger_id", "expires_on", form=V1)
    return {
        "id": item.made_id(taken),
        "gate": item.text("gate"),
        "trigger_id": item.text("trigger_id"),
        **item.kept("expires_on"),
    }


def _mapping(mapping: Part, taken: set[str]) -> Fields:
    mapping.only(
        *("id", "name", "registry", "repository", "image"),
        *("policy_id", "policy_ids", "whitelist_ids"),
        form=V1,
    )
    return {
        **_about(mapping, taken),
        "rule_set_ids": _policy_ids(mapping),
        "allowlist_ids": mapping.texts("whitelist_ids"),
    }


def _policy_ids(mapping: Part) -> list[str]:
    one, many = mapping.text_or("policy_id", ""), mapping.texts("policy_ids")
    if one and many and many != [one]:
        raise InvalidPolicy(
            f"{mapping.at('policy_ids')}: stands beside policy_id and says something else; which "
            "of them holds would be chance: keep one"
        )
    if not (one or many):
        raise InvalidPolicy(
            f"{mapping.at('policy_ids')}: is missing, and so is policy_id: name the policies that "
            "judge these images"
        )
    return many or [one]


def _images(whole: Part, key: str) -> list[Fields]:
    taken: set[str] = set()
    images = []
    for image in whole.each(key):
        image.only("id", "name", "registry", "repository", "image", form=V1)
        images.append(_about(image, taken))
    return images


def _about(part: Part, taken: set[str]) -> Fields:
    """Which images a mapping, or an entry of an image list, is about."""
    image = part.part("image")
    image.only("type", "value", form=V1)
    identity = part.made_id(taken)
    return {
        "id": identity,
        "name": part.text_or("name", identity),
        "registry": part.text("registry"),
        "repository": part.text("repository"),
        "image": {"type": image.one_of("type", *IMAGE_TYPES), "value": image.text("value")},
    }
