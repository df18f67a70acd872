"""Text from Anchore and its registries, made fit to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.wording import one_line, skopeo_reason

KEYS = (
    "httpcode",
    "message",
    "detail",
    "error_codes",
    "title",
    "status",
    "raw_exception_message",
    "validation_details",
    "validation_error",
)


@given(st.text(), st.integers(min_value=4, max_value=300))
def test_any_text_becomes_one_printable_bounded_line(text: str, limit: int) -> None:
    line = one_line(text, limit=limit)
    assert line.isprintable()
    # An escape is at most ten characters long.
    assert len(line) <= 10 * limit


def test_plain_text_is_left_alone() -> None:
    assert one_line("registry.corp:5000/team/app: déjà vu") == (
        "registry.corp:5000/team/app: déjà vu"
    )


@given(st.text())
def test_whatever_a_registry_said_a_reason_is_found_or_all_of_it_given(text: str) -> None:
    assert isinstance(skopeo_reason(text), str)
    assert len(skopeo_reason(f'level=fatal msg="{text}')) <= len(text)


def test_of_a_skopeo_error_the_reason_is_told() -> None:
    raw = (
        "Error encountered in skopeo operation. cmd=/bin/sh -c skopeo copy docker://h/a@sha256:1 "
        "oci:/scratch/x, rc=1, stdout=b'Copying', stderr=b'time=\"2026\" level=fatal "
        'msg="writing blob: unexpected EOF"\\n\', error_code=SKOPEO_UNKNOWN_ERROR'
    )
    assert skopeo_reason(raw) == "writing blob: unexpected EOF"


@pytest.mark.parametrize("text", ['level=fatal msg="' + "\\" * 50_000, 'level=error msg="' * 5_000])
def test_a_text_made_to_take_long_does_not(text: str) -> None:
    skopeo_reason(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    )
)
def test_an_error_of_any_shape_can_be_told(body: object) -> None:
    assert isinstance(str(complaint_of(Answer(status=400, body=body))), str)
