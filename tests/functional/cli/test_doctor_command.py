"""`imagegate doctor` where most cannot be asked: it says so, and its exit code what was found."""

import json
from pathlib import Path

from tests.functional.cli.commands import imagegate


def levels(out: str) -> dict[str, str]:
    """By part."""
    return {each["part"]: each["level"] for each in json.loads(out)["remarks"]}


async def test_who_can_ask_nobody_is_told_what_to_set(tmp_path: Path) -> None:
    ran = await imagegate("doctor", "--output=json", state=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    parts = ("kubernetes", "servers", "rules", "keys")
    assert levels(ran.out) == dict.fromkeys(parts, "not asked")
    ran = await imagegate("doctor", state=tmp_path)
    assert ran.code == 0
    assert "set IMAGEGATE_RULES to it" in ran.out
    assert ran.out.splitlines()[-1] == "4 not asked"


async def test_who_named_some_of_the_servers_is_told_of_the_others(tmp_path: Path) -> None:
    """An environment for `allow` names Redis alone."""
    ran = await imagegate(
        "doctor", "--output=json", state=tmp_path, REDIS_URL="redis://127.0.0.1:1"
    )
    assert (ran.code, ran.err) == (0, "")
    assert levels(ran.out)["servers"] == "not asked"
    said = next(each for each in json.loads(ran.out)["remarks"] if each["part"] == "servers")
    assert said["said"].startswith("AMQP_URL not set: set REDIS_URL, AMQP_URL, or none of them")


async def test_a_console_without_its_token_is_an_error(tmp_path: Path) -> None:
    """It must not be taken for one that is not asked about."""
    console = "http://127.0.0.1:1"
    ran = await imagegate("doctor", state=tmp_path, IMAGEGATE_CONSOLE=console)
    assert (ran.code, ran.out) == (2, "")
    assert "IMAGEGATE_CONSOLE_TOKEN is not set" in ran.err


async def test_what_is_bad_is_an_exit_code_and_a_line_with_its_remedy(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("apiVersion: imagegate.dev/v1\ndefault: {mode: enforced}\n")
    ran = await imagegate("doctor", state=tmp_path, IMAGEGATE_RULES=str(rules))
    assert (ran.code, ran.err) == (1, "")
    assert "imagegate rules check" in ran.out
    ran = await imagegate("doctor", "-o", "json", state=tmp_path, IMAGEGATE_RULES=str(rules))
    assert (ran.code, levels(ran.out)["rules"]) == (1, "bad")


async def test_what_is_well_is_said_and_no_error(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("apiVersion: imagegate.dev/v1\nallowRegistries: [docker.io]\n")
    ran = await imagegate("doctor", "-o", "json", state=tmp_path, IMAGEGATE_RULES=str(rules))
    assert (ran.code, levels(ran.out)["rules"]) == (0, "note")


async def test_a_cluster_that_is_named_and_cannot_be_is_an_error(tmp_path: Path) -> None:
    """It must not be taken for one that is not asked about."""
    for words in ([f"--kubeconfig={tmp_path / 'none'}"], ["--context=none"]):
        ran = await imagegate("doctor", *words, state=tmp_path)
        assert (ran.code, ran.out) == (2, "")
        assert len(ran.err.splitlines()) == 1
