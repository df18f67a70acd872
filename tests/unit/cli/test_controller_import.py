"""What is imported is never laxer than Anchore's own controller was, and the same where it says so:
compared with an oracle of that controller over made up configurations and pods."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from services.cli.rules.controller.areas import Area, images_of
from services.cli.rules.controller.files import read_controller
from services.cli.rules.controller.importing import import_controller
from services.cli.rules.controller.outcome import Imported, State
from services.cli.rules.controller.regexes import UNREAD, read_regex
from services.cli.rules.controller.text import rules_text
from shared.adapters.rules_file.loading import parse_rules
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import DEFAULT_HOST, parse_reference
from shared.domain.rules import Mode, Rule, Rules
from shared.domain.scope import Occasion, RuleBook
from tests.fakes.controller import NEVER, NOTHING, Asked, Demand, Meta, asked_by_controller

USERS = ("shop", "cache")
DIGEST = "sha256:" + "0a" * 32

VALUES_OF_IMAGES = (
    ".*",
    ".+",
    "",
    "nginx",
    "^nginx",
    "nginx:1",
    ":latest$",
    "prod",
    r"^registry\.corp/.*",
    r"^registry\.corp/team/",
    "registry.corp/",
    r"^registry\.corp/team/app$",
    r"^registry\.corp/team/app:",
    r"^(docker\.io|quay\.io)/.*$",
    r"docker.io/nginx",
    r"^docker\.io/library/",
    "library/",
    "/",
    r"[.]corp",
    "^[a-z]+/app",
    "corp:5000/",
    r"team/.*app",
    "^registry.corp/(team|shop)/.*",
    "(?i)NGINX",
    "^NGINX",
    "sha256",
    "@",
    "*",
    "a{2}",
    "nginx|redis",
    r"^quay\.io/a{|nginx",
    "^nginx$|^redis",
)
VALUES = (
    "^prod$",
    "prod",
    "^prod",
    "prod$",
    "^(prod|dev)$",
    ".*",
    "^$",
    "",
    "true",
    "^pr.d$",
    "^[pd]",
    "A B",
)
KEYS = (
    "name",
    "NAME",
    "^name$",
    "^app$",
    "app",
    "^team.corp/tier$",
    "tier",
    ".*",
    "^a b$",
    "^(app|tier)$",
)

HOSTS = (
    "",
    "library/",
    "docker.io/",
    "docker.io/library/",
    "index.docker.io/",
    "registry.corp/",
    "REGISTRY.corp/",
    "registry/corp/",
    "evil.io/registry.corp/",
    "xregistry.corp/",
    "corp:5000/",
    "quay.io/",
    "localhost/",
)
PATHS = ("nginx", "team/app", "team/x/app", "nginx.x/app", "app", "shop/nginx", "nginxes", "aa")
TAGS = ("", ":1", ":latest", ":prod", ":nginx", f"@{DIGEST}", f":prod@{DIGEST}")

selectors_of_images = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("image", "Image", "")),
        "key": st.sampled_from(("", ".*")),
        "value": st.sampled_from(VALUES_OF_IMAGES),
    }
)
selectors_of_meta = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("resource", "namespace", "namespace", "pod")),
        "key": st.sampled_from(KEYS),
        "value": st.sampled_from(VALUES),
    }
)
asks = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(("policy", "policy", "analysis", "breakglass", "sleep")),
        "user": st.sampled_from((*USERS, *USERS, "ghost")),
        "bundle": st.sampled_from(("", "strict", "lax")),
    }
)
selectors = st.lists(
    st.builds(lambda one, ask: {**one, **ask}, selectors_of_images | selectors_of_meta, asks),
    max_size=5,
)
words = st.dictionaries(
    st.sampled_from(("app", "name", "app.kubernetes.io/name", "team.corp/tier", "tier")),
    st.sampled_from(("prod", "dev", "products", "true", "")),
    max_size=2,
)
images = st.builds(
    lambda host, path, tag: f"{host}{path}{tag}",
    st.sampled_from(HOSTS),
    st.sampled_from(PATHS),
    st.sampled_from(TAGS),
)


def written(folder: Path, selectors: Sequence[dict[str, str]]) -> tuple[Path, Path]:
    config, credentials = folder / "config.json", folder / "credentials.json"
    config.write_text(
        json.dumps(
            {
                "PolicySelectors": [
                    {
                        "Selector": {
                            "ResourceType": each["kind"],
                            "SelectorKeyRegex": each["key"],
                            "SelectorValueRegex": each["value"],
                        },
                        "PolicyReference": {
                            "Username": each["user"],
                            "PolicyBundleId": each["bundle"],
                        },
                        "Mode": each["mode"],
                    }
                    for each in selectors
                ]
            }
        )
    )
    users = [{"username": user, "password": "x"} for user in USERS]
    credentials.write_text(json.dumps({"users": users}))
    return config, credentials


def imported(folder: Path, selectors: Sequence[dict[str, str]]) -> tuple[Imported, Rules]:
    """Through the files and the text, as an operator would have it."""
    became = import_controller(read_controller(*written(folder, selectors)), accounts={})
    text = rules_text(became, source="config.json")
    return became, parse_rules(text.encode(), path=Path("rules.yaml"))


def asked_here(rules: Rules, accounts: Mapping[str, str], case: "Case") -> set[Demand]:
    occasion = Occasion(
        namespace=case.namespace.name,
        user="",
        kind="Pod",
        labels=case.pod.labels,
        annotations=case.pod.annotations,
        namespace_labels=case.namespace.labels,
    )
    ruling = RuleBook(rules).scope(occasion).ruling(parse_reference(case.image))
    assert ruling.decides is not None
    return {_demand(rule, accounts) for rule in ruling.rules}


def _demand(rule: Rule, accounts: Mapping[str, str]) -> Demand:
    if rule.mode is Mode.DENY:
        return NEVER
    if rule.mode in (Mode.ALLOW, Mode.AUDIT):
        return NOTHING
    user = {account: name for name, account in accounts.items()}.get(rule.policy.account, "")
    return (rule.require.value, user, rule.policy.id)


def satisfies(asked: set[Demand], demand: Demand) -> bool:
    """Whether what satisfies all of `asked` satisfies `demand`."""
    if demand == NOTHING or NEVER in asked or demand in asked:
        return True
    what, user, _ = demand
    return what == "analysis" and any(each[:2] == ("policy", user) for each in asked)


def spellings(image: str) -> set[str]:
    """All ways to write what runs the same; the one that was written among them."""
    reference = parse_reference(image)
    ends = {str(reference).removeprefix(reference.repository)}
    ends |= {""} if ends == {":latest"} else set()
    names = {reference.repository, f"{reference.host.upper()}/{reference.path}"}
    if reference.host == DEFAULT_HOST:
        paths = {reference.path, reference.path.removeprefix("library/")}
        names |= {
            f"{host}{path}"
            for host in ("", "docker.io/", "index.docker.io/")
            for path in paths
            if host or not {".", ":"} & set(path.partition("/")[0]) or "/" not in path
        }
    return {image} | {
        f"{name}{end}"
        for name in names
        for end in ends
        if parse_reference(f"{name}{end}") == reference
    }


def is_doubted(asked: Asked, selectors: Sequence[dict[str, str]]) -> bool:
    """Whether it was found where no rule can look, which the report has to say."""
    selector = selectors[asked.selector - 1]
    if selector["kind"] != "namespace":
        return False
    return asked.route == "annotation" or (
        selector["key"].lower() == "name" and asked.route == "label"
    )


class Case(msgspec.Struct, frozen=True):
    """A configuration, and a pod's image to ask both about."""

    selectors: list[dict[str, str]]
    image: str
    pod: Meta
    namespace: Meta
    old: bool


cases = st.builds(
    Case,
    selectors=selectors,
    image=images,
    pod=st.builds(Meta, st.sampled_from(("prod-1", "")), words, words),
    namespace=st.builds(Meta, st.sampled_from(("prod", "dev", "products")), words, words),
    old=st.booleans(),
)


def asked_there(case: Case) -> list[Asked]:
    """What the controller asks of the image in each of its spellings."""
    return [
        asked_by_controller(
            case.selectors,
            users=USERS,
            pod=case.pod,
            namespace=case.namespace,
            image=image,
            old=case.old,
        )
        for image in sorted(spellings(case.image))
    ]


def check(case: Case, became: Imported, rules: Rules) -> None:
    here = asked_here(rules, became.accounts, case)
    there = asked_there(case)
    states = {each.number: each.state for each in became.became}
    if not any(satisfies(here, asked.demand) for asked in there):
        doubted = [asked for asked in there if is_doubted(asked, case.selectors)]
        assert doubted, (here, there)
        assert all(states[asked.selector] is State.CHECK for asked in doubted)
    decided = {asked.selector for asked in there}
    if decided != {0} and len(decided) == 1 and states[decided.pop()] is State.KEPT:
        demand = there[0].demand
        assert satisfies(here, demand)
        assert all(satisfies({demand}, each) for each in here)


# Not shrunk: that takes minutes, and what fails can be read as it is.
@settings(max_examples=400, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(case=cases)
def test_what_is_admitted_is_never_what_the_controller_would_have_refused(
    tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    check(case, *imported(tmp_path_factory.getbasetemp(), case.selectors))


# The same with one selector alone, each way; what it does not match is let in there.
LET_IN = {
    "mode": "breakglass",
    "user": "shop",
    "bundle": "",
    "kind": "image",
    "key": "",
    "value": "",
}
TEXTS: tuple[dict[str, str], ...] = (
    {},
    {"app": "prod"},
    {"team.corp/tier": "dev"},
    {"app.kubernetes.io/name": "prod"},
    {"tier": "products"},
    {"name": ""},
)
METAS = [
    Meta(name, labels, annotations)
    for name in ("prod", "dev")
    for labels, annotations in [*((each, {}) for each in TEXTS), *(({}, each) for each in TEXTS)]
]


@pytest.mark.parametrize("mode", ["policy", "breakglass"])
@pytest.mark.parametrize("kind", ["resource", "namespace", "pod"])
def test_a_selector_alone_is_never_laxer_wherever_its_words_stand(
    tmp_path: Path, kind: str, mode: str
) -> None:
    for key, value in product(KEYS, VALUES):
        one = {
            "kind": kind,
            "key": key,
            "value": value,
            "mode": mode,
            "user": "shop",
            "bundle": "b",
        }
        selectors = [one, LET_IN]
        became, rules = imported(tmp_path, selectors)
        for meta, old in product(METAS, (True, False)):
            other = Meta("dev")
            pod, namespace = (other, meta) if kind == "namespace" else (meta, other)
            case = Case(selectors, "registry.corp/prod:1", pod, namespace, old)
            check(case, became, rules)


IMAGES = ["".join(parts) for parts in product(HOSTS, PATHS, TAGS)]


def in_area(area: Area, image: str) -> bool:
    patterns = map(ImagePattern, area.patterns)
    reference = parse_reference(image)
    return area.everything or any(pattern.matches(reference) for pattern in patterns)


def test_an_expression_of_any_length_is_read_at_once() -> None:
    assert read_regex("(a|b|c|d)" + "x" * 500_000) == UNREAD


@pytest.mark.parametrize("value", [each for each in VALUES_OF_IMAGES if each != "*"])
def test_what_surely_is_matched_is_and_what_is_matched_lies_in_perhaps(value: str) -> None:
    about = images_of(read_regex(value))
    for image in IMAGES:
        if re.search(value, image):
            assert in_area(about.perhaps, image), (image, about.perhaps)
        if in_area(about.surely, image):
            assert any(re.search(value, each) for each in spellings(image)), (image, about.surely)
