"""The built-in scanner through the client that knows an Engine: pushed to, and activated."""

from collections.abc import AsyncIterator

import pytest

from services.cli.policies.desk import PolicyDesk
from services.cli.policies.documents import baseline
from shared.adapters.anchore.detect import Detection
from shared.adapters.anchore.either import PoliciesOfEither
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.policy import bundle_revision
from shared.domain.policy_forms import Form
from tests.functional.scanner.conftest import Client


@pytest.fixture
async def policies(scanner: Client) -> AsyncIterator[PoliciesOfEither]:
    async with AnchoreTransport(url=scanner.url, user="admin", password="") as transport:
        yield PoliciesOfEither(detection=Detection(transport=transport), transport=transport)


@pytest.mark.parametrize("form", Form)
async def test_the_baseline_of_either_form_is_taken_and_judges(
    policies: PoliciesOfEither, form: Form
) -> None:
    desk = PolicyDesk(policies)
    change = await desk.push(baseline(form), account="", activate=True)
    assert (change.form, change.given, change.active) == (Form.V1, form, True)
    assert change.active_before == "imagegate-default"
    assert change.revision == bundle_revision(baseline(Form.V1))
    again = await desk.push(baseline(form), account="", activate=False)
    assert (again.revision_before, again.active) == (change.revision, True)
    back = await desk.activate("imagegate-default", account="")
    assert (back.active, back.active_before) == (True, "imagegate-baseline")
    rows = await desk.listed(account="")
    assert [(row.id, row.active) for row in rows] == [
        ("imagegate-default", True),
        ("imagegate-baseline", False),
    ]
