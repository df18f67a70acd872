"""The format of the rules file as a JSON Schema, for editors and for those who generate files.

It says what the loader says, as far as a schema can: what takes thinking (two rules of one name, a
rule that is never reached, a pattern that can match no image) only the loader refuses.
"""

from shared.adapters.rules_file import registries
from shared.adapters.rules_file.loading import PLATFORM, Version
from shared.adapters.rules_file.rules import MAX_RULES
from shared.adapters.rules_file.schema_rules import NAMES_A_TAG, default_schema, rule_schema
from shared.adapters.rules_file.schema_shapes import (
    Schema,
    fields,
    list_of,
    one_of,
    short_text,
    text,
)
from shared.adapters.rules_file.times import MOMENT
from shared.domain import exceptions, image_pattern, namespace_pattern
from shared.domain.exceptions import ALL


def rules_schema() -> Schema:
    """The whole, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://imagegate.dev/v1/rules.schema.json",
        "title": "imagegate's rules",
        **fields(
            "Which images may run where. Read again when it changes; a file that cannot be used "
            "leaves the rules of before.",
            {
                "apiVersion": one_of("The version of the format.", Version),
                "rules": list_of(
                    "The first rule that matches an image of an object decides. Rules about what "
                    "an author writes (labels, annotations, kinds) only add a demand.",
                    rule_schema(),
                    most=MAX_RULES,
                ),
                "default": default_schema(),
                "exceptions": list_of(
                    "Allowed departures from the rules, each with an end. A fail passes when "
                    "every finding that stops it is covered; an image that is not judged never "
                    "does.",
                    _exception(),
                ),
                "registries": list_of(
                    "How registries are reached. The entry whose matching repository pattern is "
                    "longest holds.",
                    _registry(),
                ),
                "allowRegistries": list_of(
                    "Hosts; images of any other are refused before any scan. Left out: all.",
                    _host(),
                ),
                "platforms": list_of(
                    "What the cluster's nodes are: an image is as good as the worst of its "
                    "manifests for them. Left out: what the nodes say where a worker may list "
                    "them, else linux/amd64.",
                    text("os/architecture in Go's names.", PLATFORM),
                ),
                "placeholders": list_of(
                    "Texts in an image's place that a pod mutator replaces: not judged in "
                    "workloads, denied in a final pod. Left out: auto.",
                    text("Exactly as it is written."),
                ),
            },
            required=["apiVersion"],
        ),
    }


def _exception() -> Schema:
    shout = {"pattern": "^[Aa][Ll][Ll]$", "not": {"const": ALL}}
    finding = short_text(
        "A trigger id, such as CVE-2026-0001+openssl.", most=exceptions.MAX_TEXT
    ) | {"not": {"anyOf": [{"pattern": r"\*$"}, shout]}}
    whole = {"properties": {"findings": {"contains": {"const": ALL}}}}
    return fields(
        "Which findings of which image may be, where, why, and until when.",
        {
            "image": text(
                "host/path@sha256:..., or host/path together with named findings. Never a tag.",
                rf"[A-Za-z0-9.:_/\[\]-]+(@{image_pattern.DIGEST})?",
            )
            | {"not": {"pattern": NAMES_A_TAG}},
            "findings": list_of(
                "Trigger ids (imagegate verdicts IMAGE shows them), or all alone: only of a "
                "digest.",
                finding,
                most=exceptions.MAX_ENTRIES,
            ),
            "namespaces": list_of(
                'Globs; ["*"] stands for all.',
                text("team-*, or a name.", namespace_pattern.PATTERN),
                most=exceptions.MAX_ENTRIES,
            ),
            "reason": short_text("Why it may be.", most=exceptions.MAX_TEXT),
            "owner": short_text("Who answers for it.", most=exceptions.MAX_TEXT),
            "expires": text(
                "When it ends, with the zone.", MOMENT, examples=["2027-01-31T00:00:00Z"]
            )
            | {"format": "date-time"},
        },
        required=["image", "findings", "namespaces", "reason", "owner", "expires"],
        conditions=[
            {
                "if": whole,
                "then": {"properties": {"findings": {"maxItems": 1}, "image": {"pattern": "@"}}},
            }
        ],
    )


def _registry() -> Schema:
    kinds = ("credentials", "userFile", "helper")
    pairs = [[one, other] for at, one in enumerate(kinds) for other in kinds[at + 1 :]]
    return fields(
        "How one registry is reached. Credentials go to exactly this host.",
        {
            "host": _host(),
            "repositories": list_of(
                "Globs on the path: what the entry is about. Left out: all of the host.",
                text("team-a/**", registries.REPOSITORIES),
            ),
            "insecure": {"type": "boolean", "description": "Plain HTTP. Left out: HTTPS."},
            "credentials": text("A file as Docker's config.json."),
            "userFile": text("A file that holds the user's name; with passwordFile."),
            "passwordFile": text("A file that holds the password; with userFile."),
            "helper": text(
                "A credential helper: docker-credential-* on PATH, or an absolute path.",
                registries.HELPER,
            ),
            "immutableTags": list_of(
                "Globs: tags that never move, so that nobody asks again soon.",
                text("v*", registries.TAGS),
            ),
        },
        required=["host"],
        conditions=[{"not": {"required": pair}} for pair in pairs],
    ) | {"dependentRequired": {"userFile": ["passwordFile"], "passwordFile": ["userFile"]}}


def _host() -> Schema:
    return text("As references name it: ghcr.io, registry.corp:5000.", r"[^/@\s]+")
