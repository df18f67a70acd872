"""What a real Engine refused is refused here, for the same reasons."""

import json
from typing import Any

import msgspec
import pytest

from services.scanner.bundles.bundle import read_bundle
from services.scanner.bundles.problems import InvalidBundle, NoBundle
from tests.unit.scanner.samples import DATA

REFUSED: list[dict[str, Any]] = json.loads((DATA / "agreement" / "refused.json").read_bytes())


def shape_of(text: Any) -> Any:
    """Keys and problem types: of its gates and parameters Engine has more."""
    return [(sorted(problem), problem["problem_type"], problem["severity"]) for problem in text]


@pytest.mark.parametrize("recorded", REFUSED, ids=lambda recorded: str(recorded["name"]))
def test_it_is_refused_as_engine_does(recorded: dict[str, Any]) -> None:
    text = json.dumps(recorded["bundle"]).encode()
    detail = recorded["body"]["detail"]

    with pytest.raises((InvalidBundle, NoBundle)) as caught:
        read_bundle(text)
    if isinstance(caught.value, InvalidBundle):
        problems = msgspec.to_builtins(caught.value.problems)
        assert shape_of(problems) == shape_of(detail["validation_details"])
    else:
        assert str(caught.value) == detail


def test_the_words_are_engines() -> None:
    details = {one["name"]: one["body"]["detail"] for one in REFUSED}
    gate = details["policy-post-invalid-gate"]["validation_details"][0]["details"]
    policy = details["policy-post-mapping-unknown-policy"]["validation_details"][0]["details"]

    def said(name: str) -> str:
        (bundle,) = (one["bundle"] for one in REFUSED if one["name"] == name)
        with pytest.raises(InvalidBundle) as caught:
            read_bundle(json.dumps(bundle).encode())
        return caught.value.problems[0].details

    assert said("policy-post-mapping-unknown-policy") == policy
    assert (
        said("policy-post-invalid-gate").partition("(gate=nosuchgate,")[0]
        == (gate.partition("(gate=nosuchgate,")[0])
    )
