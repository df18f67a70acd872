"""`imagegate rules import`: the real command over files as operators have them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.rules_file.loading import load_rules
from shared.domain.rules import Mode, PolicyChoice, Requirement, Rules
from tests.functional.cli.commands import REPOSITORY, Ran, imagegate

DATA = REPOSITORY / "tests/data/controller"
CREDENTIALS = str(DATA / "credentials.json")
SECRET = (DATA / "credentials.json").read_bytes()


def selector(kind: str, key: str, value: str, mode: str, user: str = "shop") -> Any:
    return {
        "Selector": {
            "ResourceType": kind,
            "SelectorKeyRegex": key,
            "SelectorValueRegex": value,
        },
        "PolicyReference": {"Username": user, "PolicyBundleId": "b"},
        "Mode": mode,
    }


def config(folder: Path, *selectors: Any, **more: Any) -> str:
    file = folder / "config.json"
    file.write_text(json.dumps({"PolicySelectors": selectors, **more}))
    return str(file)


async def imported(folder: Path, *arguments: str) -> tuple[Ran, Rules]:
    ran = await imagegate("rules", "import", *arguments, state=folder, COLUMNS="200")
    file = folder / "rules.yaml"
    file.write_text(ran.out)
    return ran, load_rules(file)


ALL = selector("image", ".*", ".*", "policy")


async def test_what_the_charts_readme_has_stays_what_it_was(tmp_path: Path) -> None:
    ran, rules = await imported(tmp_path, str(DATA / "values.yaml"))
    assert ran.code == 0
    assert (rules.rules, rules.default.mode) == ((), Mode.AUDIT)
    assert "1 kept, 0 stricter, 0 check" in ran.err
    assert "ANCHORE_URL=http://anchore-api.scanning:8228" in ran.err


async def test_the_controllers_example_becomes_rules_and_each_change_is_told(
    tmp_path: Path,
) -> None:
    ran, rules = await imported(tmp_path, str(DATA / "readme.json"), CREDENTIALS)
    assert ran.code == 1
    told = {rule.name: (rule.mode, rule.require, rule.policy.id) for rule in rules.rules}
    shop = (Mode.ENFORCE, Requirement.POLICY, "shop_bundle")
    assert told == {
        "selector 2, labels": shop,
        "selector 2, annotations": shop,
        "selector 2, perhaps": shop,
        "selector 3": (Mode.ENFORCE, Requirement.POLICY, "staging_bundle"),
    }
    assert rules.default.require is Requirement.ANALYSIS
    assert "`imagegate allow`" in ran.err
    assert "0 kept, 2 stricter, 2 check" in ran.err
    # What is said of a selector stands above its rule, too.
    assert ran.out.index("# selector 3,") < ran.out.index("name: selector 3")
    assert "kubectl get namespaces" in ran.out


async def test_no_password_is_ever_printed(tmp_path: Path) -> None:
    passwords = [user["password"] for user in json.loads(SECRET)["users"]]
    both = config(tmp_path, selector("image", "", "^a/", "policy", "cache"), ALL)
    for file in (str(DATA / "readme.json"), both):
        ran, _ = await imported(tmp_path, file, CREDENTIALS)
        assert not [each for each in passwords if each in ran.out + ran.err]
    broken = tmp_path / "credentials.json"
    broken.write_text('{"users": [{"password": "hunter2"')
    ran = await imagegate("rules", "import", both, str(broken), state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "hunter2" not in ran.err


async def test_several_users_become_accounts_and_one_is_the_login(tmp_path: Path) -> None:
    file = config(tmp_path, selector("image", "", r"^quay\.io/", "policy", "cache"), ALL)
    ran, rules = await imported(tmp_path, file, CREDENTIALS, "--account", "cache=platform")
    assert [rule.policy for rule in rules.rules] == [PolicyChoice("platform", "b")]
    assert rules.default.policy == PolicyChoice("shop", "b")
    assert "an admin of Anchore" in ran.err
    assert "cache -> platform" in ran.err
    ran, rules = await imported(tmp_path, config(tmp_path, ALL), CREDENTIALS)
    assert (ran.code, rules.default.policy) == (0, PolicyChoice(id="b"))
    assert "ANCHORE_USER=shop" in ran.err


async def test_who_has_no_credentials_is_refused_as_before(tmp_path: Path) -> None:
    file = config(tmp_path, selector("image", "", r"^quay\.io/", "breakglass", "ghost"), ALL)
    ran, rules = await imported(tmp_path, file, CREDENTIALS)
    assert [rule.mode for rule in rules.rules] == [Mode.DENY]
    assert "credentials.json has no user 'ghost'" in ran.out


async def test_breakglass_has_images_analysed_only_where_the_controller_had(
    tmp_path: Path,
) -> None:
    let_in = selector("image", "", r"^quay\.io/tools/", "breakglass")
    for asked, mode in (
        (True, Mode.AUDIT),
        ("true", Mode.AUDIT),
        ("TRUE", Mode.AUDIT),
        ("1", Mode.AUDIT),
        (False, Mode.ALLOW),
        ("false", Mode.ALLOW),
    ):
        file = config(tmp_path, let_in, ALL, validator={"requestAnalysis": asked})
        ran, rules = await imported(tmp_path, file)
        assert ran.code == 0
        assert [(rule.mode, str(rule.match.images[0].pattern)) for rule in rules.rules] == [
            (mode, "quay.io/tools/**")
        ]


async def test_without_a_selector_for_everything_default_enforces_and_that_is_told(
    tmp_path: Path,
) -> None:
    ran, rules = await imported(tmp_path, config(tmp_path))
    assert (ran.code, rules.default.mode) == (1, Mode.ENFORCE)
    assert "what no selector matches was let in" in ran.out


async def test_configmap_and_secret_are_read_as_kubectl_prints_them(tmp_path: Path) -> None:
    content = json.dumps({"PolicySelectors": [ALL]})
    configmap, secret = tmp_path / "configmap.yaml", tmp_path / "secret.yaml"
    configmap.write_text(json.dumps({"kind": "ConfigMap", "data": {"config.json": content}}))
    # As Helm writes one, in lines.
    held = base64.encodebytes(SECRET).decode()
    secret.write_text(json.dumps({"kind": "Secret", "data": {"credentials.json": held}}))
    ran, rules = await imported(tmp_path, str(configmap), str(secret))
    assert (ran.code, rules.default.policy.id) == (0, "b")
    ran = await imagegate("rules", "import", str(secret), state=tmp_path)
    assert ran.code == 2
    assert "no ConfigMap or Secret in it has config.json (it holds: Secret)" in ran.err


async def test_a_whole_release_is_read_as_helm_prints_it(tmp_path: Path) -> None:
    ghost = selector("image", "", r"^quay\.io/", "policy", "ghost")
    content = json.dumps({"PolicySelectors": [ghost, ALL]})
    others = [{"kind": "Service", "spec": {}}, {"kind": "ConfigMap", "data": {"init-ca.sh": "x"}}]
    objects = [
        *others,
        {"kind": "ConfigMap", "data": {"config.json": content}},
        {"kind": "Secret", "data": {"credentials.json": base64.b64encode(SECRET).decode()}},
    ]
    file = tmp_path / "manifest.yaml"
    file.write_text("".join(f"---\n# Source: a/b.yaml\n{json.dumps(one)}\n" for one in objects))
    ran, rules = await imported(tmp_path, str(file))
    assert [rule.mode for rule in rules.rules] == [Mode.DENY]
    assert "credentials.json has no user 'ghost'" in ran.out
    assert (await imported(tmp_path, str(file), str(file)))[1] == rules


async def test_rules_go_into_the_file_that_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    file = config(tmp_path, ALL)
    ran = await imagegate("rules", "import", file, "--out", str(out), state=tmp_path)
    assert (ran.code, ran.out) == (0, "")
    ran = await imagegate("rules", "check", str(out), state=tmp_path)
    assert ran.code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "neither JSON nor YAML"),
        ("a: &a [*a]", "aliases"),
        ('{"PolicySelectors": &a [*a]}', "aliases"),
        ('{"PolicySelectors": 7}', "must be a list"),
        ('{"PolicySelectors": [7]}', "selector 1 must be a mapping"),
        ('{"PolicySelectors": [{"Selector": 7}]}', "must be mappings"),
        ('{"PolicySelectors": [{"Selector": {"SelectorValueRegex": true}}]}', "in quotes"),
        ("\0", "neither JSON nor YAML"),
        ("[]", "policySelectors"),
        ("", "policySelectors"),
        ("7", "policySelectors"),
        ("apiVersion: imagegate.dev/v1", "policySelectors"),
    ],
)
async def test_what_is_no_such_configuration_is_told(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    ran = await imagegate("rules", "import", str(file), state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "config.json" in ran.err
    assert said in ran.err


async def test_what_names_no_users_is_no_credentials_file(tmp_path: Path) -> None:
    file = config(tmp_path, ALL)
    ran = await imagegate("rules", "import", file, file, state=tmp_path)
    assert ran.code == 2
    assert "holds no list `users`" in ran.err
