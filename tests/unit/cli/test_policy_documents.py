"""Policy documents as files hold them."""

from pathlib import Path

import pytest

from services.cli.policies.documents import baseline_text, read_document
from shared.domain.errors import InvalidPolicy
from shared.domain.policy_forms import Form, form_of


@pytest.mark.parametrize("form", Form)
def test_what_is_printed_can_be_read(tmp_path: Path, form: Form) -> None:
    file = tmp_path / "policy.json"
    file.write_text(baseline_text(form))
    assert form_of(read_document(file)) is form


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must be one JSON object"),
        ("{", "holds no policy"),
        ('{"a": ' + "[" * 5000, "holds no policy"),
        ('{"a": "\udcff"}', "holds no policy"),
        ('{"id": "p", "policies": [1], "policies": []}', "the key 'policies' stands twice"),
        ('{"policies": [{"rules": [1], "x": 5, "rules": []}]}', "the key 'rules' stands twice"),
    ],
)
def test_what_is_no_policy_or_two_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidPolicy, match=words):
        read_document(file)
