"""The report as people see it."""

import io
from typing import Literal

import msgspec
import pytest
from rich.console import Console

from services.cli.reports.report import ScanReport, worst_first
from services.cli.reports.text import SHOWN, print_report
from shared.domain.image_report import Severity
from shared.domain.verdict import Action, Outcome
from tests.unit.cli.report_samples import (
    CLEAN,
    EXPAT,
    FAILED,
    IMAGE,
    STOP,
    UNREAD,
    hostile,
    vulnerability,
)


def shown(
    report: ScanReport, *, width: int = 100, terminal: bool = False, everything: bool = False
) -> str:
    file = io.StringIO()
    colours: Literal["truecolor"] | None = "truecolor" if terminal else None
    out = Console(file=file, width=width, force_terminal=terminal, color_system=colours)
    print_report(out, report, everything=everything, seconds=2.4)
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def test_it_says_what_the_image_is_what_is_in_it_and_the_last_word_at_the_end() -> None:
    text = shown(FAILED)
    assert "amd64, debian 12, 1.4 MB, 2 layers, a Dockerfile guessed from its history" in text
    assert "Packages  2 dpkg, 1 python" in text
    assert "Vulnerabilities  1 critical, 1 high, 1 unknown" in text
    assert "as of 2026-11-24" in text
    assert "Policy  imagegate-default: 2 stop it, 1 warn, 1 let through" in text
    last = text[text.index("fail after 2 s: registry.corp:5000/team/app:1.0") :]
    assert "newer libexpat1 would end 1 of the 2 findings that stop it" in last


def test_vulnerabilities_stand_with_their_fixed_version_the_worst_first() -> None:
    rows = [line.split() for line in shown(FAILED).splitlines() if "CVE-" in line]
    assert rows[0] == ["critical", "CVE-2024-45491", "libexpat1", "2.5.0-1", "2.5.0-1+deb12u1"]
    assert rows[1] == ["high", "CVE-2023-0001", "zlib1g", "1:1.2.13", "no", "fix", "known"]
    assert rows[2][0] == "unknown"


def test_what_is_not_known_stands_under_a_heading_of_its_own() -> None:
    text = shown(FAILED)
    assert "Not known" in text
    assert "! the vulnerability data says nothing about 1 of 3 packages" in text
    assert "Not known" not in shown(CLEAN)


def test_what_could_not_be_read_is_not_none() -> None:
    text = shown(UNREAD)
    assert "Packages  could not be read" in text
    assert "Vulnerabilities  could not be read" in text
    assert "none known" not in text
    assert "Vulnerabilities  none known" in shown(CLEAN)


def test_a_pass_needs_no_advice() -> None:
    assert shown(CLEAN).splitlines()[-1] == "pass after 2 s: registry.corp:5000/team/app:1.0"


def test_why_it_could_not_be_judged_is_the_last_word() -> None:
    report = msgspec.structs.replace(
        FAILED, outcome=Outcome.ERROR, message="no mapping matched", images=()
    )
    assert shown(report).splitlines()[-2:] == [
        "error after 2 s: registry.corp:5000/team/app:1.0",
        "  no mapping matched",
    ]


def many() -> ScanReport:
    found = [
        vulnerability(id=f"CVE-2020-{number:04}", severity=Severity.LOW) for number in range(30)
    ]
    findings = [msgspec.structs.replace(STOP, trigger_id=str(number)) for number in range(25)]
    image = msgspec.structs.replace(
        IMAGE, vulnerabilities=worst_first((*found, EXPAT)), findings=tuple(findings)
    )
    return msgspec.structs.replace(FAILED, images=(image,))


def test_a_long_list_is_cut_and_says_so() -> None:
    text = shown(many())
    assert text.count("CVE-2020-") == SHOWN - 1
    assert "and 11 more: --all shows them" in text
    assert "and 5 more: --all shows them" in text
    whole = shown(many(), everything=True)
    assert whole.count("CVE-2020-") == 30
    assert "--all" not in whole


@pytest.mark.parametrize("width", [40, 60, 80, 140])
@pytest.mark.parametrize("report", [FAILED, UNREAD, hostile(), many()])
def test_no_line_is_wider_than_the_terminal_and_no_version_is_lost(
    report: ScanReport, width: int
) -> None:
    text = shown(report, width=width)
    long_names = {line for line in text.splitlines() if len(line) > width}
    assert not long_names
    if report is FAILED:
        assert "2.5.0-1+deb12u1" in text.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("width", [40, 100, 140])
def test_text_from_outside_is_neither_markup_nor_control(width: int) -> None:
    text = shown(hostile(), width=width)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "[red]x[/red]" in text.replace("\n", "").replace(" ", "")


def test_a_terminal_gets_links_and_a_pipe_the_address() -> None:
    url = EXPAT.url
    assert f";{url}\x1b\\" in shown(FAILED, terminal=True, width=140)
    assert url in shown(FAILED, width=140)
    assert "\x1b" not in shown(FAILED, width=140)


def test_an_address_that_is_none_is_no_link() -> None:
    report = hostile()
    assert "\x1b]8" not in shown(report, terminal=True)


def test_a_finding_that_is_let_through_is_not_hidden() -> None:
    text = shown(FAILED)
    assert "let through HIGH Vulnerability in zlib1g" in text
    assert Action.GO.value == "go"
