"""Dockerfiles read, guessed, and judged by their FROM lines."""

import base64
import json

import pytest

from services.scanner.dockerfile import guess_dockerfile, read_dockerfile
from tests.unit.scanner.samples import DATA, evaluated, facts, messages, rule

FROM = (
    r"^(--platform=\S+\s+)?(scratch|\S+:[\w][\w.-]*(@sha256:[0-9a-f]{64})?"
    r"|\S+@sha256:[0-9a-f]{64})(\s+.*)?$"
)
USES_TAG = rule("dockerfile", "instruction", instruction="FROM", check="not_like", value=FROM)
DIGEST = "sha256:" + "a" * 64


def test_instructions_are_found_whatever_their_case() -> None:
    found = read_dockerfile("from debian:12 AS build\nRun true\nFROM scratch\n")

    assert found == {"FROM": ["debian:12 AS build", "scratch"], "RUN": ["true"]}


def test_comments_empty_lines_and_windows_line_ends_are_skipped() -> None:
    assert read_dockerfile("# FROM no\r\n\r\n  FROM yes:1\r\n") == {"FROM": ["yes:1"]}


def test_continued_lines_are_one_and_comments_in_them_are_dropped() -> None:
    found = read_dockerfile("RUN a \\\n  # why\n  b \\\n\n  c\nUSER app")

    assert found == {"RUN": ["a b c"], "USER": ["app"]}


def test_the_escape_directive_changes_what_continues_a_line() -> None:
    found = read_dockerfile("# syntax=docker/dockerfile:1\n# escape=`\nRUN a `\nb\nRUN c:\\\n")

    assert found == {"RUN": ["a b", "c:\\"]}


def test_nothing_hides_in_a_heredoc() -> None:
    assert "FROM" in read_dockerfile("RUN <<EOF\nFROM hidden\nEOF\n")


def test_a_file_that_ends_in_the_middle_of_a_line_keeps_it() -> None:
    assert read_dockerfile("FROM debian \\") == {"FROM": ["debian"]}


def test_a_guessed_dockerfile_is_as_engine_guesses_it() -> None:
    recorded = json.loads((DATA / "anchore" / "image-get-analyzed-bad.json").read_bytes())
    detail = recorded["response"]["body"][0]["image_detail"][0]
    layer = "5001c8153e525086ef1d83b8827c6034ccb5df384dae677b8a478633e7703e3f"
    install = (
        "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "
        "--no-install-recommends openssh-server && rm -rf /var/lib/apt/lists/*"
    )

    guessed = guess_dockerfile(
        [
            f"/bin/sh -c #(nop) ADD file:{layer} in / ",
            '/bin/sh -c #(nop)  CMD ["bash"]',
            f"/bin/sh -c {install}",
            "/bin/sh -c #(nop)  EXPOSE 22",
            '/bin/sh -c #(nop)  CMD ["/usr/sbin/sshd", "-D"]',
        ]
    )

    engines = base64.b64decode(detail["dockerfile"]).decode()
    assert guessed.split() == engines.split()


def test_lines_of_buildkit_keep_their_instruction() -> None:
    guessed = guess_dockerfile(
        ["COPY a b # buildkit", "USER app", "RUN /bin/sh -c x # buildkit", "bazel build ...", ""]
    )

    assert read_dockerfile(guessed) == {
        "FROM": ["scratch"],
        "COPY": ["a b"],
        "USER": ["app"],
        "RUN": ["/bin/sh -c x", "bazel build ..."],
    }


@pytest.mark.parametrize(
    "line",
    [
        "scratch",
        "debian:12",
        "debian:12 AS build",
        "--platform=linux/amd64 debian:12",
        "127.0.0.1:5000/base/debian:1.0",
        f"debian@{DIGEST}",
        f"debian:12@{DIGEST} AS x",
    ],
)
def test_a_from_with_a_tag_or_digest_passes(line: str) -> None:
    assert messages(facts(dockerfile=f"FROM {line}\n"), USES_TAG) == []


@pytest.mark.parametrize(
    "line",
    [
        "debian",
        "127.0.0.1:5000/base/debian",
        "registry:5000/a/b",
        "--platform=linux/amd64 debian",
        "build",
        "${BASE}",
    ],
)
def test_a_from_without_a_tag_stops(line: str) -> None:
    assert messages(facts(dockerfile=f"FROM {line}\n"), USES_TAG) == [
        f"Dockerfile directive 'FROM' check 'not_like' matched against '{FROM}' for line '{line}'"
    ]


def test_every_from_line_counts() -> None:
    image = facts(dockerfile="FROM debian:12 AS build\nFROM debian\n")

    assert len(messages(image, USES_TAG)) == 1


@pytest.mark.parametrize(
    ("check", "value", "hits"),
    [
        ("=", "8080", 1),
        ("!=", "8080", 1),
        ("exists", "", 2),
        ("not_exists", "", 0),
        ("like", "80", 1),
        ("not_like", "80", 1),
        ("in", "22, 8080", 1),
        ("not_in", "22, 8080", 1),
    ],
)
def test_each_check_looks_at_each_line(check: str, value: str, hits: int) -> None:
    image = facts(dockerfile="FROM debian:12\nEXPOSE 8080\nEXPOSE 9090\n")
    params = {"value": value} if value else {}
    asked = rule("dockerfile", "instruction", instruction="EXPOSE", check=check, **params)

    assert len(messages(image, asked)) == hits


def test_an_instruction_that_is_not_there_is_told_as_engine_tells_it() -> None:
    asked = rule("dockerfile", "instruction", instruction="HEALTHCHECK", check="not_exists")

    (row,) = evaluated(facts(), asked).rows
    assert row.message == (
        "Dockerfile directive 'HEALTHCHECK' not found, matching condition 'not_exists' check"
    )
    assert row.trigger_id == "41cb7cdf04850e33a11f80c42bf660b3"  # as recorded from Engine


def test_a_rule_about_actual_dockerfiles_leaves_guessed_ones_alone() -> None:
    asked = rule(
        "dockerfile",
        "instruction",
        instruction="HEALTHCHECK",
        check="not_exists",
        actual_dockerfile_only="true",
    )

    assert messages(facts(), asked) == []
    assert len(messages(facts(dockerfile_mode="Actual"), asked)) == 1


def test_a_line_beyond_all_measure_makes_the_evaluation_fail() -> None:
    outcome = evaluated(facts(dockerfile=f"FROM {'x' * 70_000}:1\n"), USES_TAG)

    assert outcome.status == "fail"
    assert outcome.problems[0].problem_type == "TriggerEvaluationError"


def test_a_missing_dockerfile_can_be_asked_for() -> None:
    asked = rule("dockerfile", "no_dockerfile_provided", "WARN")

    assert messages(facts(), asked) == ["Image was not analyzed with an actual Dockerfile"]
    assert messages(facts(dockerfile_mode="Actual"), asked) == []
