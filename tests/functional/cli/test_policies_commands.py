"""`imagegate policies`, as a process of its own beside a FakeAnchore, or over the socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.cli.policies.documents import baseline
from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.domain.policy import bundle_revision
from shared.domain.policy_forms import Form, converted
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_wire import BASELINE
from tests.functional.cli.beside import beside
from tests.functional.cli.commands import Ran, imagegate

PASSWORD = "foobar"


class Desk:
    """The command beside one Anchore."""

    def __init__(self, anchore: FakeAnchore, state: Path) -> None:
        self.anchore = anchore
        self.state = state

    async def __call__(self, *arguments: str, **environ: str) -> Ran:
        told = {"ANCHORE_URL": self.anchore.url, "ANCHORE_PASSWORD": PASSWORD, "COLUMNS": "160"}
        return await imagegate("policies", *arguments, state=self.state, **{**told, **environ})

    def active(self, account: str = "admin") -> list[str]:
        policies = self.anchore.store.policies[account]
        return [name for name, record in policies.items() if record["active"]]

    def written(self, document: Any, name: str = "policy.json") -> str:
        file = self.state / name
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(file)


@pytest.fixture
async def policies(tmp_path: Path) -> AsyncIterator[Desk]:
    async with FakeAnchore(password=PASSWORD) as anchore:
        yield Desk(anchore, tmp_path)


async def test_the_active_policy_stands_first_in_the_list(policies: Desk) -> None:
    policies.anchore.store.add_policy("another")
    ran = await policies("list")
    assert (ran.code, ran.err) == (0, "")
    lines = [line for line in ran.out.splitlines() if "baseline" in line or "another" in line]
    assert "active" in lines[0]
    assert bundle_revision(BASELINE)[:12] in lines[0]
    assert "active" not in lines[1]
    ran = await policies("list", "-o", "json")
    assert [(row["id"], row["active"]) for row in json.loads(ran.out)] == [
        ("fake-baseline", True),
        ("another", False),
    ]


async def test_that_none_is_active_is_said(policies: Desk) -> None:
    policies.anchore.store.policies["admin"]["fake-baseline"]["active"] = False
    ran = await policies("list")
    assert "no policy is active" in ran.out
    assert "imagegate policies activate ID" in ran.out


async def test_one_command_gives_a_new_anchore_the_four_rules(policies: Desk) -> None:
    ran = await policies("push", "--baseline")
    assert ran.code == 0
    assert policies.active() == ["imagegate-baseline"]
    stored = policies.anchore.store.policies["admin"]["imagegate-baseline"]["policybundle"]
    assert stored == baseline(Form.V1)
    revision = bundle_revision(stored)[:12]
    assert "pushed imagegate-baseline (v1 form)" in ran.out
    assert f"revision: {revision} (new)" in ran.out
    assert "yes, instead of fake-baseline" in ran.out
    assert "IMAGEGATE_POLICY_GRACE" in ran.out
    # Which of the rules needs what.
    assert "from-uses-tag needs the image's own Dockerfile" in ran.err
    again = await policies("push", "--baseline")
    assert f"revision: {revision} (as before)" in again.out
    assert "Nothing changed: verdicts stand." in again.out


async def test_a_changed_policy_shows_both_revisions_and_stays_active(policies: Desk) -> None:
    changed = BASELINE | {"comment": "changed"}
    ran = await policies("push", policies.written(changed), "--no-activate")
    before, now = bundle_revision(BASELINE)[:12], bundle_revision(changed)[:12]
    assert f"revision: {before} -> {now}" in ran.out
    assert "yes, as before" in ran.out
    assert policies.active() == ["fake-baseline"]


async def test_a_policy_can_be_stored_and_activated_later(policies: Desk) -> None:
    file = policies.written(BASELINE | {"id": "strict"})
    ran = await policies("push", file, "--no-activate")
    assert "no, fake-baseline is; `imagegate policies activate strict`" in ran.out
    assert "Only images whose rules name" in ran.out
    assert policies.active() == ["fake-baseline"]
    ran = await policies("activate", "strict", "-o", "json")
    change = json.loads(ran.out)
    assert (change["active"], change["active_before"]) == (True, "fake-baseline")
    assert policies.active() == ["strict"]


async def test_a_policy_of_the_other_form_is_converted_and_what_is_left_out_told(
    policies: Desk,
) -> None:
    ran = await policies("push", policies.written(baseline(Form.V2)))
    assert "(v1 form, made of the v2 document)" in ran.out
    assert "left out: rule_sets[0].rules[0].recommendation" in ran.out
    stored = policies.anchore.store.policies["admin"]["imagegate-baseline"]["policybundle"]
    assert stored == baseline(Form.V1)


async def test_what_does_not_convert_names_the_file_and_the_place_and_pushes_nothing(
    policies: Desk,
) -> None:
    document: Any = baseline(Form.V2)
    document["rule_sets"][0]["artifact_type"] = "source"
    file = policies.written(document)
    ran = await policies("push", file)
    assert (ran.code, ran.out) == (2, "")
    assert f"error: {file}: rule_sets[0].artifact_type: v1 judges images alone" in ran.err
    assert policies.active() == ["fake-baseline"]


async def test_a_policy_comes_from_standard_input_too(policies: Desk) -> None:
    ran = await policies("push", "-")
    assert (ran.code, ran.out) == (2, "")
    assert "standard input holds no policy" in ran.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not JSON", "holds no policy: JSON is malformed"),
        ("[]", "holds no policy: Expected `object`, got `array`"),
        ("{}", "is no policy: it has neither policies"),
        ('{"policybundle": {}}', "take what stands under policybundle"),
        ("[" * 5000, "holds no policy"),
    ],
)
async def test_a_file_that_holds_none_is_one_line(policies: Desk, content: str, words: str) -> None:
    ran = await policies("push", policies.written(content))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err
    assert not policies.anchore.store.calls["policy_add"]


async def test_a_file_that_is_not_there_is_said(policies: Desk) -> None:
    ran = await policies("push", "nowhere.json")
    assert (ran.code, ran.err) == (
        2,
        "error: cannot read the policy nowhere.json: No such file or directory\n",
    )


@pytest.mark.parametrize("arguments", [("push",), ("push", "x.json", "--baseline")])
async def test_what_to_push_is_named_once(policies: Desk, arguments: tuple[str, ...]) -> None:
    ran = await policies(*arguments)
    assert ran.code == 2
    assert "name a FILE to push" in ran.err


async def test_the_table_of_a_policy_tells_its_rules_and_its_images(policies: Desk) -> None:
    await policies("push", "--baseline")
    ran = await policies("show", "imagegate-baseline")
    assert ran.code == 0
    for words in (
        "policy imagegate-baseline: active, v1 form",
        "dockerfile / effective_user",
        "name=openssh-server",
        "images */*:*: by imagegate-baseline-policy",
    ):
        assert words in ran.out


@pytest.mark.parametrize("form", Form)
async def test_its_document_can_be_had_in_either_form_and_pushed_again(
    policies: Desk, form: Form
) -> None:
    await policies("push", "--baseline")
    ran = await policies("show", "imagegate-baseline", "--form", form)
    document = msgspec.json.decode(ran.out)
    assert document == converted(baseline(Form.V1), form).document
    again = await policies("push", policies.written(ran.out))
    assert "(as before)" in again.out


async def test_an_unknown_policy_says_how_to_see_those_that_are_there(policies: Desk) -> None:
    ran = await policies("show", "nosuch")
    assert (ran.code, ran.out) == (2, "")
    assert "no policy nosuch: `imagegate policies list` shows" in ran.err
    ran = await policies("activate", "nosuch")
    assert (ran.code, ran.out) == (2, "")
    assert "no policy nosuch to activate: push it first" in ran.err


async def test_an_account_has_policies_of_its_own(policies: Desk) -> None:
    policies.anchore.store.add_account("payments")
    ran = await policies("push", "--baseline", "--account", "payments")
    assert "pushed imagegate-baseline in the account payments" in ran.out
    assert (policies.active("payments"), policies.active()) == (
        ["imagegate-baseline"],
        ["fake-baseline"],
    )
    ran = await policies("list", "--account", "paymants")
    assert (ran.code, ran.out) == (2, "")
    assert "no account paymants" in ran.err


@pytest.mark.parametrize("form", Form)
async def test_the_baseline_is_printed_in_either_form_without_asking_anybody(
    tmp_path: Path, form: Form
) -> None:
    ran = await imagegate("policies", "baseline", "--form", form, state=tmp_path)
    assert ran.code == 0
    assert json.loads(ran.out) == baseline(form)
    assert "from-uses-tag needs the image's own Dockerfile" in ran.err


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "nobody to ask: start `imagegate up`"),
        ({"IMAGEGATE_CONSOLE": "http://127.0.0.1:1"}, "policies are Anchore's: set ANCHORE_URL"),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "policies are Anchore's: set ANCHORE_URL"),
        ({"ANCHORE_URL": "http://127.0.0.1:1", "ANCHORE_PASSWORD": "hunter2"}, "cannot be asked"),
    ],
)
async def test_nobody_to_ask_is_one_line_that_says_what_to_do(
    tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    ran = await imagegate("policies", "list", state=tmp_path, **environ)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err
    assert "hunter2" not in ran.err


async def test_a_wrong_password_names_the_settings_and_not_itself(policies: Desk) -> None:
    ran = await policies("list", ANCHORE_PASSWORD="hunter2")
    assert (ran.code, ran.out) == (2, "")
    assert "check ANCHORE_USER and ANCHORE_PASSWORD" in ran.err
    assert "hunter2" not in ran.err


async def test_without_an_address_the_scanner_of_a_running_up_is_asked(
    policies: Desk, tmp_path: Path
) -> None:
    async with (
        AnchoreTransport(url=policies.anchore.url, user="admin", password=PASSWORD) as transport,
        beside(tmp_path, policies=AnchorePolicies(transport=transport, dialect=V1_POLICIES)),
    ):
        listed = await policies("list", "-o", "json", ANCHORE_URL="")
        assert [row["id"] for row in json.loads(listed.out)] == ["fake-baseline"]
        pushed = await policies("push", "--baseline", ANCHORE_URL="")
        assert "yes, instead of fake-baseline" in pushed.out
        shown = await policies("show", "imagegate-baseline", "-o", "json", ANCHORE_URL="")
        assert json.loads(shown.out) == baseline(Form.V1)
        back = await policies("activate", "fake-baseline", ANCHORE_URL="")
        assert "activated fake-baseline" in back.out
        gone = await policies("show", "nosuch", ANCHORE_URL="")
        assert "no policy nosuch" in gone.err
        wrong = await policies("activate", "nosuch", ANCHORE_URL="")
        assert (wrong.code, wrong.err) == (
            2,
            "error: Anchore has no policy nosuch to activate: push it first\n",
        )
    assert policies.active() == ["fake-baseline"]


async def test_an_anchore_of_v2_gets_its_own_form_whatever_is_pushed(tmp_path: Path) -> None:
    async with FakeAnchore(password=PASSWORD, api="v2") as anchore:
        policies = Desk(anchore, tmp_path)
        ran = await policies("push", "--baseline")
        assert "pushed imagegate-baseline (v2 form)" in ran.out
        assert "yes, instead of fake-baseline" in ran.out
        stored = anchore.store.policies["admin"]["imagegate-baseline"]["policybundle"]
        assert stored == baseline(Form.V2)
        ran = await policies("push", policies.written(baseline(Form.V1)))
        assert "(v2 form, made of the v1 document)" in ran.out
        assert policies.active() == ["imagegate-baseline"]
        ran = await policies("show", "imagegate-baseline", "--form", "v1")
        assert json.loads(ran.out) == baseline(Form.V1)
        ran = await policies("list", "--account", "paymants")
        assert (ran.code, ran.out) == (2, "")
        assert "no account paymants" in ran.err


async def test_a_stored_policy_of_no_form_is_shown_and_not_converted(policies: Desk) -> None:
    record = policies.anchore.store.policies["admin"]["fake-baseline"]
    record["policybundle"] = {"id": "fake-baseline", "name": "x", "mappings": ["?", {"image": 5}]}
    ran = await policies("show", "fake-baseline")
    assert (ran.code, ran.err) == (0, "")
    assert "policy fake-baseline: active, v1 form" in ran.out
    ran = await policies("show", "fake-baseline", "-o", "json")
    assert json.loads(ran.out) == record["policybundle"]
    ran = await policies("show", "fake-baseline", "--form", "v2")
    assert (ran.code, ran.out) == (2, "")
    assert "the policy fake-baseline: the document is no policy" in ran.err
