"""Bundles and images that would keep an evaluation busy for ever, or that do not fit any more."""

import json
from typing import Any

import msgspec
import pytest

from services.scanner.bundles.bundle import MAX_BUNDLE
from services.scanner.judging.judges import open_judges
from services.scanner.judging.questions import Accepted, Evaluate, Evaluated, Failed, Validate
from services.scanner.matching.finding import Finding, Matches, Severity, WrittenMatches
from services.scanner.records import ImageFacts, Package
from tests.unit.scanner.samples import DIGEST, IMAGE_ID, NOW, TAG, baseline, bundle_of, facts, rule

ENDLESS = "(a+)+$"
LONG = "a" * 64 + "!"
JAR = Package(LONG, "1", "java-archive", LONG, "1", location=LONG)
FOUND = Matches(
    "here", "debian:12", NOW, findings=(Finding("CVE-2099-0001", JAR, Severity.CRITICAL),)
)


def asked(bundle: dict[str, Any], image: ImageFacts) -> Evaluate:
    return Evaluate(
        bundle=json.dumps(bundle).encode(),
        facts=msgspec.json.encode(image),
        matches=WrittenMatches.of(FOUND),
        digest=DIGEST,
        image_id=IMAGE_ID,
        fulltag=TAG,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("endless", "image"),
    [
        (
            rule("dockerfile", "instruction", instruction="RUN", check="not_like", value=ENDLESS),
            facts(dockerfile=f"RUN {LONG}\n"),
        ),
        (
            rule("metadata", "attribute", attribute="distro", check="like", value=ENDLESS),
            facts(distro=LONG),
        ),
        (
            rule("vulnerabilities", "package", package_type="non-os", package_path_exclude=ENDLESS),
            facts(packages=(JAR,)),
        ),
    ],
    ids=["instruction", "metadata", "package path"],
)
async def test_an_expression_without_end_fails_and_the_next_question_is_answered(
    endless: dict[str, Any], image: ImageFacts
) -> None:
    good = Validate(json.dumps(baseline()).encode())

    async with open_judges(count=1, seconds=5.0) as judges:
        await judges.ask(good)
        answer = await judges.ask(asked(bundle_of(endless), image))
        assert isinstance(answer, Failed)
        assert answer.problem_type == "EvaluationTimeout"
        assert isinstance(await judges.ask(good), Accepted)


async def test_patterns_of_mappings_and_whitelists_end_however_they_are_written() -> None:
    bundle = bundle_of(rule("always", "always"))
    pattern = "*a" * 20_000 + "*b"
    bundle["mappings"].insert(0, {**bundle["mappings"][0], "repository": pattern})
    bundle["whitelists"][0]["items"] = [
        {"id": str(number), "gate": "always", "trigger_id": f"{number}*"} for number in range(8_000)
    ]

    async with open_judges(count=1, seconds=60.0) as judges:
        answer = await judges.ask(asked(bundle, facts()))
    assert isinstance(answer, Evaluated)


async def test_a_bundle_as_large_as_one_may_be_is_read() -> None:
    one = rule("packages", "blacklist", name="x" * 60)
    bundle = bundle_of(*([one] * (MAX_BUNDLE // (len(json.dumps(one)) + 2) - 20)))
    text = json.dumps(bundle).encode()
    assert MAX_BUNDLE * 0.8 < len(text) <= MAX_BUNDLE

    async with open_judges(count=1, seconds=60.0) as judges:
        assert isinstance(await judges.ask(Validate(text)), Accepted)


@pytest.mark.parametrize(
    ("stored", "kind", "said"),
    [
        (bundle_of(rule("files", "name_match", regex="x")), "InvalidBundle", "gate=files"),
        ({"id": "x"}, "NoBundle", "'version' is a required property"),
    ],
)
async def test_a_stored_bundle_that_is_not_taken_any_more_fails_with_the_reason(
    stored: dict[str, Any], kind: str, said: str
) -> None:
    async with open_judges(count=1, seconds=60.0) as judges:
        answer = await judges.ask(asked(stored, facts()))

    assert isinstance(answer, Failed)
    assert answer.problem_type == kind
    assert "change it and push it again" in answer.details
    assert said in answer.details
