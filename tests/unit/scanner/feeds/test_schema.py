"""What is packed in a feed is read by later releases of this program, or refused by its version."""

from services.scanner.feeds import schema
from services.scanner.feeds.known import Known, Span, Vulnerability, decode_known, encode_known
from services.scanner.matching.finding import Score, Severity

KNOWN = Known(
    ("1.0-1", "2.0-1"),
    (
        Vulnerability(
            id="CVE-2099-1000",
            spans=(Span(0, 3), Span(5, -1, "nodejs:22")),
            severity=Severity.HIGH,
            ask=True,
            scores=(Score(7.5, "CVSS:3.1/...", 3.9, 3.6, vendor=True),),
            advisories=("DSA-1-1",),
            published=1,
            fix_published=2,
        ),
    ),
)
PACKED = (
    "9292a5312e302d31a5322e302d319198ad4356452d323039392d3130303092930003a09305ffa96e"
    "6f64656a733a323204c39195cb401e000000000000ac435653533a332e312f2e2e2ecb400f333333"
    "333333cb400ccccccccccccdc391a74453412d312d310102"
)


def test_what_is_packed_differently_has_another_version() -> None:
    """Where this fails: count schema.VERSION up, and put here what it is packed as now."""
    assert (schema.VERSION, encode_known(KNOWN).hex()) == (2, PACKED)
    assert decode_known(bytes.fromhex(PACKED)) == KNOWN
