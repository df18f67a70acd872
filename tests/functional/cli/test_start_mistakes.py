"""A process that cannot start: exit code 2, one line that names what was wrong, no secret."""

from pathlib import Path

import pytest

from tests.functional.cli.commands import imagegate

SECRET = "hunter2"
SERVERS = {
    "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
    "AMQP_URL": f"amqp://guest:{SECRET}@127.0.0.1:1/",
    "ANCHORE_URL": "http://127.0.0.1:1",
    "ANCHORE_PASSWORD": SECRET,
}


@pytest.mark.parametrize("what", ["webhook", "worker", "intake", "scanner"])
@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("defualt: {mode: enforce}", ":2: unknown key 'defualt'; the nearest valid one is"),
        ("default: {mode: enforc}", ":2: default.mode: 'enforc' is not one of"),
        ("registries: [", "rules.yaml:"),
    ],
)
async def test_a_wrong_rules_file_is_one_line(
    tmp_path: Path, what: str, rules: str, words: str
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(f"apiVersion: imagegate.dev/v1\n{rules}\n")
    ran = await imagegate(what, state=tmp_path, IMAGEGATE_RULES=str(file), **SERVERS)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert ran.err.startswith(f"imagegate {what}: {tmp_path}")
    assert words in ran.err


LABELLED = """apiVersion: imagegate.dev/v1
rules:
  - {name: production, match: {namespaceLabels: {tier: prod}}, mode: enforce}
"""


@pytest.mark.parametrize("what", [("webhook",), ("up", "--once")])
@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, ("there is no Kubernetes API to ask", "set IMAGEGATE_KUBERNETES_URL")),
        (
            {"IMAGEGATE_KUBERNETES_URL": "https://127.0.0.1:1", "IMAGEGATE_KUBERNETES_CA": "/no"},
            ("the CA file /no for the Kubernetes API cannot be used: no such file",),
        ),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"},
            ("/var/run/secrets/kubernetes.io/serviceaccount/token", "automountServiceAccountToken"),
        ),
    ],
)
async def test_rules_about_labels_that_nobody_can_be_asked_for_are_one_line(
    tmp_path: Path, what: tuple[str, ...], told: dict[str, str], words: tuple[str, ...]
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(LABELLED)
    ran = await imagegate(*what, state=tmp_path, IMAGEGATE_RULES=str(file), **SERVERS, **told)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert "rule 'production' has namespaceLabels" in ran.err
    for part in words:
        assert part in ran.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.corp:8080", "is plain HTTP"),
        (f"https://u:{SECRET}@api.corp", "a token goes into the file"),
        ("api.corp", "must look like https://HOST:6443"),
    ],
)
async def test_an_api_server_that_cannot_be_meant_is_one_line_whatever_the_rules(
    tmp_path: Path, url: str, words: str
) -> None:
    told = {**SERVERS, "IMAGEGATE_KUBERNETES_URL": url}
    ran = await imagegate("webhook", state=tmp_path, **told)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert words in ran.err
    assert SECRET not in ran.err


@pytest.mark.parametrize(
    ("what", "wrong", "words"),
    [
        ("webhook", {"REDIS_URL": ""}, "REDIS_URL is not set"),
        ("worker", {"AMQP_URL": ""}, "AMQP_URL is not set"),
        ("worker", {"ANCHORE_URL": ""}, "ANCHORE_URL is not set"),
        ("webhook", {"REDIS_URL": f"http://:{SECRET}@h"}, "REDIS_URL must name a scheme"),
        ("worker", {"AMQP_URL": f"redis://x:{SECRET}@h"}, "AMQP_URL must look like amqp://"),
        (
            "worker",
            {"AMQP_URL": f"amqp://x:{SECRET}/y@h/"},
            "with / ? # and @ of user",
        ),
        ("worker", {"AMQP_URL": f"amqp://x:{SECRET}#y@h/"}, "as %2F %3F %23 and %40"),
        ("worker", {"AMQP_URL": f"amqp://x:1?{SECRET}@h/"}, "AMQP_URL must look like amqp://"),
        ("webhook", {"AMQP_URL": f"amqp://x:{SECRET}\u2100@h/"}, "AMQP_URL must look like amqp://"),
        (
            "worker",
            {"AMQP_URL": f"amqps://x:{SECRET}@h/?cafile=/nowhere/ca.crt"},
            "the CA file /nowhere/ca.crt, cafile in AMQP_URL, cannot be used: [Errno 2] No such",
        ),
        (
            "console",
            {"AMQP_URL": f"amqps://x:{SECRET}@h/?heartbeat=9&cafile=/dev/null"},
            "the CA file /dev/null, cafile in AMQP_URL, cannot be used: ",
        ),
        ("worker", {"ANCHORE_URL": f"http://u:{SECRET}@h"}, "ANCHORE_URL must not hold"),
        ("worker", {"ANCHORE_TOKEN": SECRET}, "ANCHORE_PASSWORD and ANCHORE_TOKEN are both set"),
        ("worker", {"ANCHORE_AUTH": "token"}, "ANCHORE_AUTH is token: set ANCHORE_TOKEN"),
        ("worker", {"ANCHORE_API": "v3"}, "ANCHORE_API must be one of auto, v1, v2"),
        ("worker", {"ANCHORE_PROXY": f"ftp://u:{SECRET}@h"}, "ANCHORE_PROXY must be http://"),
        ("worker", {"IMAGEGATE_KEYS": "/nowhere"}, "imagegate keys new --out /nowhere"),
        ("webhook", {"IMAGEGATE_KEYS": "/nowhere"}, "correct IMAGEGATE_KEYS"),
        ("webhook", {"IMAGEGATE_RULES": "/nowhere"}, "correct IMAGEGATE_RULES"),
        ("webhook", {"IMAGEGATE_PORT": "abc"}, "IMAGEGATE_PORT must be a whole number"),
        ("intake", {}, "set IMAGEGATE_EVENTS_TOKEN or IMAGEGATE_EVENTS_HMAC"),
        ("intake", {"IMAGEGATE_EVENTS_TOKEN": SECRET}, "has 7 characters, it needs 16 at least"),
        ("intake", {"IMAGEGATE_EVENTS_HMAC": f"{16 * 'a'}\n{SECRET}"}, "secret 2 of 2 has 7"),
        ("intake", {"IMAGEGATE_INTAKE_MAX_BODY": "1"}, "at least 1024"),
        ("console", {"REDIS_URL": ""}, "REDIS_URL is not set"),
        ("console", {"AMQP_URL": ""}, "AMQP_URL is not set"),
        ("console", {"IMAGEGATE_CONSOLE_TOKEN": SECRET}, "has 7 characters: use at least 16"),
        ("console", {"IMAGEGATE_CONSOLE_CERTIFICATE": "/x"}, "belong together: set both"),
        ("console", {"IMAGEGATE_CONSOLE_EVERY": "0"}, "at least 0.2"),
        ("console", {"IMAGEGATE_KEYS": "/nowhere"}, "correct IMAGEGATE_KEYS"),
        ("worker", {"REDIS_URL_FILE": "/nowhere"}, "REDIS_URL and REDIS_URL_FILE are both set"),
    ],
)
async def test_a_wrong_setting_is_one_line_without_a_secret(
    tmp_path: Path, what: str, wrong: dict[str, str], words: str
) -> None:
    ran = await imagegate(what, state=tmp_path, **{**SERVERS, "IMAGEGATE_PORT": "0", **wrong})
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert ran.err.startswith(f"imagegate {what}: ")
    assert words in ran.err
    assert SECRET not in ran.err
