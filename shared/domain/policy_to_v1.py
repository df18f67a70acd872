"""A v2 policy as a v1 policy bundle, field by field (docs/design/anchore-v2.md 4)."""

from shared.domain.errors import InvalidPolicy
from shared.domain.policy import BOOKKEEPING, Bundle
from shared.domain.policy_parts import Fields, Part
from shared.domain.policy_to_v2 import ACTIONS, IMAGE_TYPES
from shared.domain.policy_words import v1_trigger, v1_value

V2 = "v2"
VERSION = "1_0"


def to_v1(policy: Bundle) -> tuple[Bundle, tuple[str, ...]]:
    """The bundle, and what is left out of it: texts and mappings that decide about no image.

    Raises InvalidPolicy, for anything else that v1 cannot say.
    """
    whole = Part(policy)
    whole.only(
        *("id", "name", "description", "version", "rule_sets", "allowlists", "mappings"),
        *("allowlisted_images", "denylisted_images", "source_mappings", "sbom_mappings"),
        *sorted(BOOKKEEPING),
        form=V2,
    )
    left_out = _LeftOut()
    left_out.note(whole, "source_mappings", "sbom_mappings")
    sets, lists, mappings = set[str](), set[str](), set[str]()
    bundle: Bundle = {
        **_named(whole, whole.text("id")),
        "policies": [_policy(one, sets, left_out) for one in whole.each("rule_sets")],
        "whitelists": [_whitelist(one, lists, left_out) for one in whole.each("allowlists")],
        "mappings": [_mapping(one, mappings, left_out) for one in whole.each("mappings")],
        "whitelisted_images": _images(whole, "allowlisted_images", left_out),
        "blacklisted_images": _images(whole, "denylisted_images", left_out),
    }
    return bundle, tuple(left_out)


class _LeftOut(list[str]):
    """The ways to fields that v1 has no place for, where they hold something."""

    def note(self, part: Part, *keys: str) -> None:
        self.extend(part.at(key) for key in keys if part.has(key))


def _named(part: Part, identity: str) -> Fields:
    return {
        "id": identity,
        "name": part.text_or("name", identity),
        **part.kept("description", "comment"),
        "version": VERSION,
    }


def _policy(rule_set: Part, taken: set[str], left_out: _LeftOut) -> Fields:
    rule_set.only("id", "name", "description", "version", "artifact_type", "rules", form=V2)
    kind = rule_set.text_or("artifact_type", "image")
    if kind != "image":
        raise InvalidPolicy(
            f"{rule_set.at('artifact_type')}: v1 judges images alone, and these rules {kind}; "
            "take the rule set out, and out of the mappings"
        )
    rule_set.text("id")
    rules: set[str] = set()
    return {
        **_named(rule_set, rule_set.made_id(taken)),
        "rules": [_rule(rule, rules, left_out) for rule in rule_set.each("rules")],
    }


def _rule(rule: Part, taken: set[str], left_out: _LeftOut) -> Fields:
    rule.only(
        *("id", "gate", "trigger", "action", "params", "description", "recommendation"), form=V2
    )
    left_out.note(rule, "description", "recommendation")
    return {
        "id": rule.made_id(taken),
        "gate": rule.text("gate"),
        "trigger": v1_trigger(rule),
        "action": rule.one_of("action", *ACTIONS),
        "params": [_param(param) for param in rule.each("params")],
    }


def _param(param: Part) -> Fields:
    param.only("name", "value", form=V2)
    name = param.text("name")
    return {"name": name, "value": v1_value(name, param.text_or("value", ""))}


def _whitelist(allowlist: Part, taken: set[str], left_out: _LeftOut) -> Fields:
    allowlist.only("id", "name", "description", "version", "items", form=V2)
    allowlist.text("id")
    items: set[str] = set()
    return {
        **_named(allowlist, allowlist.made_id(taken)),
        "items": [_item(item, items, left_out) for item in allowlist.each("items")],
    }


def _item(item: Part, taken: set[str], left_out: _LeftOut) -> Fields:
    item.only("id", "gate", "trigger_id", "expires_on", "description", form=V2)
    left_out.note(item, "description")
    return {
        "id": item.made_id(taken),
        "gate": item.text("gate"),
        "trigger_id": item.text("trigger_id"),
        **item.kept("expires_on"),
    }


def _mapping(mapping: Part, taken: set[str], left_out: _LeftOut) -> Fields:
    mapping.only(
        *("id", "name", "description", "registry", "repository", "image"),
        *("rule_set_ids", "allowlist_ids"),
        form=V2,
    )
    judges = mapping.texts("rule_set_ids")
    if not judges:
        raise InvalidPolicy(
            f"{mapping.at('rule_set_ids')}: is empty; name the rule sets that judge these images"
        )
    return {
        **_about(mapping, taken, left_out),
        **({"policy_id": judges[0]} if len(judges) == 1 else {"policy_ids": judges}),
        "whitelist_ids": mapping.texts("allowlist_ids"),
    }


def _images(whole: Part, key: str, left_out: _LeftOut) -> list[Fields]:
    taken: set[str] = set()
    images = []
    for image in whole.each(key):
        image.only("id", "name", "description", "registry", "repository", "image", form=V2)
        images.append(_about(image, taken, left_out))
    return images


def _about(part: Part, taken: set[str], left_out: _LeftOut) -> Fields:
    left_out.note(part, "description")
    image = part.part("image")
    image.only("type", "value", form=V2)
    identity = part.made_id(taken)
    return {
        "id": identity,
        "name": part.text_or("name", identity),
        "registry": part.text("registry"),
        "repository": part.text("repository"),
        "image": {"type": image.one_of("type", *IMAGE_TYPES), "value": image.text("value")},
    }
