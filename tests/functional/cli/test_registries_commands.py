"""`imagegate registries`, a process of its own beside a FakeAnchore: passwords go there alone."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.anchore import FakeAnchore
from tests.fakes.credential_helper import FakeHelper
from tests.functional.cli.commands import Ran, imagegate

PASSWORD = "foobar"
SECRET = "correct-horse"

RULES = """
apiVersion: imagegate.dev/v1
registries:
  - {host: "registry.corp:5000", userFile: user, passwordFile: password}
"""


class Desk:
    """The command beside one Anchore and one rules file."""

    def __init__(self, anchore: FakeAnchore, state: Path) -> None:
        self.anchore = anchore
        self.state = state
        self.rules = state / "rules.yaml"
        self.rules.write_text(RULES)
        (state / "user").write_text("ada\n")
        (state / "password").write_text(f"{SECRET}\n")

    async def __call__(self, *arguments: str, **environ: str) -> Ran:
        told = {
            "ANCHORE_URL": self.anchore.url,
            "ANCHORE_PASSWORD": PASSWORD,
            "IMAGEGATE_RULES": str(self.rules),
            "COLUMNS": "160",
        }
        ran = await imagegate("registries", *arguments, state=self.state, **{**told, **environ})
        assert SECRET not in ran.out + ran.err
        return ran

    async def synced(self, *arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
        """The exit code, and what became of each registry in each account."""
        ran = await self("sync", "-o", "json", *arguments)
        rows = {(row["account"] or "", row["registry"]): row for row in json.loads(ran.out)}
        return ran.code, rows

    def stored(self, account: str = "admin") -> dict[str, Any]:
        return self.anchore.store.registries.get(account, {})

    def registries(self, *entries: str, rest: str = "") -> None:
        """The rules file has these."""
        lines = "\n".join(f"  - {entry}" for entry in entries)
        self.rules.write_text(f"apiVersion: imagegate.dev/v1\nregistries:\n{lines}\n{rest}")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with FakeAnchore(password=PASSWORD) as anchore:
        yield Desk(anchore, tmp_path)


async def test_a_registry_of_the_rules_is_added_with_its_login(desk: Desk) -> None:
    ran = await desk("sync")
    assert (ran.code, ran.err) == (0, "")
    (line,) = [line for line in ran.out.splitlines() if "registry.corp" in line]
    for words in ("(its own)", "ada", "checked", "added"):
        assert words in line
    record = desk.stored()["registry.corp:5000"]
    assert (record["registry_user"], record["registry_pass"]) == ("ada", SECRET)
    assert (record["registry_verify"], record["registry_type"]) == (True, "docker_v2")


async def test_once_more_ends_the_same_and_carries_a_new_password(desk: Desk) -> None:
    await desk.synced()
    desk.stored()["registry.corp:5000"]["registry_name"] = "our registry"
    (desk.state / "password").write_text("another-one\n")
    code, rows = await desk.synced()
    assert (code, rows["", "registry.corp:5000"]["done"]) == (0, "updated")
    record = desk.stored()["registry.corp:5000"]
    assert (record["registry_pass"], record["registry_name"]) == ("another-one", "our registry")
    assert len(desk.stored()) == 1


async def test_a_dry_run_sends_nothing(desk: Desk) -> None:
    code, rows = await desk.synced("--dry-run")
    assert (code, rows["", "registry.corp:5000"]["done"]) == (0, "would be added")
    assert not desk.stored()
    await desk.synced()
    calls = dict(desk.anchore.store.calls)
    code, rows = await desk.synced("--dry-run")
    assert (code, rows["", "registry.corp:5000"]["done"]) == (0, "would be updated")
    changing = ("registry_add", "registry_put")
    assert all(desk.anchore.store.calls[name] == calls.get(name, 0) for name in changing)


async def test_each_account_that_the_rules_ask_in_gets_them(desk: Desk) -> None:
    for account in ("payments", "shared"):
        desk.anchore.store.add_account(account)
    desk.rules.write_text(
        f"{RULES}rules:\n"
        "  - {name: pay, match: {namespaces: [pay]}, policy: {account: payments}}\n"
        "  - {name: free, match: {namespaces: [free]}, mode: allow}\n"
    )
    code, rows = await desk.synced()
    assert code == 0
    assert {account for account, _ in rows} == {"payments", ""}
    assert (list(desk.stored("payments")), list(desk.stored())) == (["registry.corp:5000"],) * 2
    code, rows = await desk.synced("--account", "shared")
    assert (code, {account for account, _ in rows}) == (0, {"shared"})


async def test_an_account_that_anchore_does_not_have_fails_and_keeps_no_other_from_its_turn(
    desk: Desk,
) -> None:
    code, rows = await desk.synced("--account", "paymants", "--account", "admin")
    assert code == 2
    assert "no account paymants" in rows["paymants", ""]["remark"]
    assert rows["admin", "registry.corp:5000"]["done"] == "added"
    assert "paymants" not in desk.anchore.store.registries or not desk.stored("paymants")


async def test_what_is_there_and_not_ours_is_left_alone_and_said(desk: Desk) -> None:
    desk.registries('{host: "a.corp", userFile: user, passwordFile: password}')
    theirs = {
        "a.corp": {"registry_type": "awsecr", "registry_user": "awsauto"},
        "b.corp": {"registry_type": "docker_v2", "registry_user": "them"},
    }
    for registry, fields in theirs.items():
        desk.stored()
        desk.anchore.store.registries.setdefault("admin", {})[registry] = {
            "registry": registry,
            "registry_name": registry,
            "registry_verify": True,
            "account": "admin",
            "created_at": "",
            "last_updated": "",
            **fields,
        }
    code, rows = await desk.synced()
    assert code == 0
    assert [rows["", one]["done"] for one in ("a.corp", "b.corp")] == ["left alone"] * 2
    assert "of type awsecr" in rows["", "a.corp"]["remark"]
    assert "do not name it" in rows["", "b.corp"]["remark"]
    calls = desk.anchore.store.calls
    assert calls["registry_add"] == calls["registry_put"] == 0


async def test_plain_http_is_not_verified_and_not_tried(desk: Desk) -> None:
    desk.registries('{host: "a.corp", insecure: true, userFile: user, passwordFile: password}')
    desk.anchore.store.takes_login("a.corp", "nobody", "nothing")
    code, rows = await desk.synced()
    assert (code, rows["", "a.corp"]["verify"]) == (0, False)
    assert desk.stored()["a.corp"]["registry_verify"] is False


async def test_a_login_that_the_registry_refuses_is_an_error_without_the_password(
    desk: Desk,
) -> None:
    desk.registries(
        '{host: "a.corp", userFile: user, passwordFile: password}',
        '{host: "b.corp", userFile: user, passwordFile: password}',
    )
    desk.anchore.store.takes_login("a.corp", "ada", "another")
    ran = await desk("sync")
    assert ran.code == 2
    assert "a.corp: Anchore could not log in to a.corp as ada" in ran.out
    assert list(desk.stored()) == ["b.corp"]


async def test_a_registry_without_a_login_is_read_without_one(desk: Desk) -> None:
    desk.registries('{host: "a.corp", insecure: true}')
    code, rows = await desk.synced()
    assert (code, rows["", "a.corp"]["done"]) == (0, "needs no login")
    assert not desk.stored()


async def test_a_secret_that_is_not_there_fails_by_its_files_name(desk: Desk) -> None:
    (desk.state / "password").unlink()
    ran = await desk("sync")
    assert ran.code == 2
    assert f"the passwordFile {desk.state / 'password'} cannot be read" in ran.out
    assert not desk.stored()


async def test_repositories_get_the_logins_that_a_file_has_for_them(desk: Desk) -> None:
    def auth(user: str) -> dict[str, str]:
        return {"auth": base64.b64encode(f"{user}:{SECRET}".encode()).decode()}

    keys = {"a.corp": auth("all"), "a.corp/team": auth("team"), "b.corp/x": auth("x")}
    (desk.state / "docker.json").write_text(json.dumps({"auths": keys}))
    desk.registries(
        '{host: "a.corp", credentials: docker.json}',
        '{host: "a.corp", repositories: ["team/**", "a/*/b"], credentials: docker.json}',
    )
    code, rows = await desk.synced()
    users = {name: record["registry_user"] for name, record in desk.stored().items()}
    assert users == {"a.corp": "all", "a.corp/team/*": "team"}
    # What Anchore has no words for.
    assert code == 1
    assert rows["", "a.corp/a/*/b"]["done"] == "left out"
    assert rows["", "a.corp/team"]["done"] == "left out"
    assert "entry of its own" in rows["", "a.corp/team"]["remark"]


async def test_a_helpers_login_is_sent_and_that_it_may_end_is_said(desk: Desk) -> None:
    helper = FakeHelper(desk.state / "helper")
    helper.answers("AWS", SECRET)
    desk.registries(f'{{host: "a.corp", helper: "{helper.path}"}}')
    ran = await desk("sync", "--dry-run")
    assert not desk.stored()
    ran = await desk("sync")
    assert ran.code == 0
    assert desk.stored()["a.corp"]["registry_pass"] == SECRET
    assert "a.corp: its login is a credential helper's: a token that may end" in ran.out


async def test_an_identity_token_is_none_of_anchores_logins(desk: Desk) -> None:
    helper = FakeHelper(desk.state / "helper")
    helper.answers("<token>", SECRET)
    desk.registries(f'{{host: "a.corp", helper: "{helper.path}"}}')
    ran = await desk("sync")
    assert ran.code == 2
    assert "its login is an identity token" in ran.out
    assert not desk.stored()


async def test_the_list_tells_all_but_passwords(desk: Desk) -> None:
    ran = await desk("list")
    assert (ran.code, ran.out) == (
        0,
        "no registries: `imagegate registries sync` adds those of the rules file\n",
    )
    await desk.synced()
    ran = await desk("list")
    for words in ("registry.corp:5000", "ada", "docker_v2", "checked"):
        assert words in ran.out
    ran = await desk("list", "-o", "json")
    assert json.loads(ran.out) == [
        {
            "registry": "registry.corp:5000",
            "user": "ada",
            "name": "registry.corp:5000",
            "kind": "docker_v2",
            "verify": True,
        }
    ]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"ANCHORE_URL": ""}, "ANCHORE_URL is not set"),
        ({"IMAGEGATE_RULES": ""}, "IMAGEGATE_RULES is not set"),
        ({"IMAGEGATE_RULES": "/nowhere.yaml"}, "/nowhere.yaml"),
    ],
)
async def test_what_is_missing_is_one_line(desk: Desk, environ: dict[str, str], words: str) -> None:
    ran = await desk("sync", **environ)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err


async def test_an_anchore_that_is_away_is_said_for_each_account(desk: Desk) -> None:
    ran = await desk("sync", ANCHORE_URL="http://127.0.0.1:1")
    assert ran.code == 2
    assert "(its own)" in ran.out
    assert "cannot be asked" in ran.out


async def test_an_anchore_of_v2_gets_them_too(tmp_path: Path) -> None:
    async with FakeAnchore(password=PASSWORD, api="v2") as anchore:
        desk = Desk(anchore, tmp_path)
        assert [(await desk("sync")).code for _ in range(2)] == [0, 0]
        assert desk.stored()["registry.corp:5000"]["registry_pass"] == SECRET
        ran = await desk("list", "--account", "paymants")
        assert (ran.code, ran.out) == (2, "")
        assert "no account paymants" in ran.err


async def test_a_registry_that_is_not_allowed_is_left_alone(desk: Desk) -> None:
    desk.registries(
        '{host: "a.corp", userFile: user, passwordFile: password}',
        rest="allowRegistries: [b.corp]\n",
    )
    code, rows = await desk.synced()
    assert (code, rows["", "a.corp"]["done"]) == (0, "left alone")
    assert "allowRegistries" in rows["", "a.corp"]["remark"]
    assert not desk.stored()
