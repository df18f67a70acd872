"""Archives as Go reads them; in each case what Go 1.26's archive/tar said of the same bytes."""

import gzip
import tarfile

import pytest
import zstandard

from services.scanner.records import AnalysisFailed
from tests.fakes.images import digest_of
from tests.fakes.tars import (
    BLOCK,
    END,
    FOLDER,
    Part,
    files,
    global_header,
    layer,
    old_sparse,
    signed,
    written,
)
from tests.unit.scanner.analysis.looks import MIB, looked, looked_at

PASSWD = Part("etc/passwd", b"seen")
HIDDEN = written(Part("etc/passwd", b"hidden"))
LONG = "x" * 90 + "/../" + "y" * 90 + "/../etc/passwd"


@pytest.mark.parametrize(
    "tar",
    [
        layer(PASSWD) + HIDDEN + END,
        layer(PASSWD) + b"rubbish" * 100,
        layer(PASSWD, end=b""),
        layer(PASSWD, end=bytes(BLOCK)),
        layer(Part("decoy", b"seen", pax={"path": "etc/passwd"})),
        global_header({"path": "elsewhere"}) + layer(PASSWD),
        global_header({"size": "0"}) + layer(PASSWD),
        layer(Part(LONG, b"seen")),
        layer(Part(LONG, b"seen"), form=tarfile.GNU_FORMAT),
        layer(Part("p/" * 50 + "../" * 50 + "etc/passwd", b"seen"), form=tarfile.PAX_FORMAT),
        layer(PASSWD, form=tarfile.USTAR_FORMAT),
        layer(Part("etc", kind=FOLDER, size=4096), PASSWD),
        layer(Part("\udcff\udcfe", b"x"), PASSWD, form=tarfile.GNU_FORMAT),
    ],
)
def test_what_go_sees_is_seen(tar: bytes) -> None:
    assert looked(tar).passwd == b"seen"


def test_the_size_that_pax_records_say_counts() -> None:
    inner = written(Part("etc/passwd", b"inner"))
    covering = written(Part("data", inner, size=0, pax={"size": str(len(inner))}))

    assert looked(covering + written(PASSWD) + END).passwd == b"seen"


@pytest.mark.parametrize(
    ("tar", "said"),
    [
        (written(PASSWD) + bytes(BLOCK) + HIDDEN, "a block of zeros where only its end may be"),
        (written(PASSWD)[: BLOCK + 2], "ends in the middle of a file"),
        (written(PASSWD) + b"x", "ends in the middle of an entry"),
        (b"x" * BLOCK, "a number that is none"),
        (bytes([1]) * BLOCK, "a number that is none"),
        (layer(Part("x", kind=b"V")), "an entry of the unknown type b'V'"),
        (layer(Part("x", pax={"size": "-1"})), "a size that is none"),
        (layer(Part("x", pax={"size": "1_0"})), "a size that is none"),
        (layer(Part("x", size=-512), form=tarfile.GNU_FORMAT), "less than no bytes"),
        (layer(Part("x", pax={"path": "a\0b"})), "PAX records with a zero byte"),
        (
            layer(Part("etc", kind=FOLDER, pax={"SCHILY.xattr.trusted.overlay.redirect": "/x"})),
            "marks of overlayfs",
        ),
        (written(Part("x" * 200, pax={"y": "z" * 2 * MIB})), "records of over"),
    ],
)
def test_what_go_refuses_is_refused(tar: bytes, said: str) -> None:
    with pytest.raises(AnalysisFailed) as caught:
        looked(tar)
    assert said in str(caught.value)


def test_a_checksum_of_signed_bytes_is_one_too() -> None:
    block = bytearray(written(Part("ä", b""), form=tarfile.GNU_FORMAT)[:BLOCK])
    plain = sum(block[:148]) + sum(block[156:]) + 8 * 32
    block[148:156] = b"%06o\0 " % (plain - 256 * 2)

    assert looked(bytes(block) + layer(PASSWD)).passwd == b"seen"
    block[148:156] = b"%06o\0 " % (plain - 256)
    with pytest.raises(AnalysisFailed, match="checksum"):
        looked(bytes(block))


def test_holes_count_as_bytes_of_the_unpacked_image() -> None:
    tar = old_sparse("huge", size=2**40) + END
    with pytest.raises(AnalysisFailed, match="IMAGEGATE_SCANNER_MAX_DISK"):
        looked(tar)

    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**40)}
    with pytest.raises(AnalysisFailed, match="IMAGEGATE_SCANNER_MAX_DISK"):
        looked(layer(Part("x", b"0\n", pax=pax)))


def test_a_file_with_holes_is_not_taken_for_what_is_stored_of_it() -> None:
    found = looked(old_sparse("etc/passwd", size=100) + layer(Part("x", b"y")))

    assert found.passwd is None
    assert found.passwd_problem == "/etc/passwd is stored as a sparse file"


def test_a_declared_size_beyond_the_archive_is_no_file() -> None:
    block = bytearray(written(Part("etc/passwd", b""), form=tarfile.USTAR_FORMAT)[:BLOCK])
    block[124:136] = b"%011o\0" % (32 * MIB)

    with pytest.raises(AnalysisFailed, match="ends in the middle of a file"):
        looked(signed(block) + b"short")


def test_a_bomb_is_stopped_while_it_is_read() -> None:
    tar = files({"zeros": bytes(128 * MIB)})

    with pytest.raises(AnalysisFailed, match=f"takes more than {32 * MIB} bytes"):
        looked(tar, max_bytes=32 * MIB)


def test_a_bomb_behind_the_end_mark_is_stopped_too() -> None:
    with pytest.raises(AnalysisFailed, match="takes more than"):
        looked(layer(PASSWD) + bytes(128 * MIB), max_bytes=32 * MIB)


def test_files_are_counted_over_all_layers() -> None:
    many = layer(*(Part(f"f{number}") for number in range(60)))

    assert looked(many, many, max_entries=120).databases == ()
    with pytest.raises(AnalysisFailed, match="more than 119 files: raise IMAGEGATE_SCANNER_MAX"):
        looked(many, many, max_entries=119)


def zstd(tar: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(tar)


SKIPPED = (0x184D2A5E).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"meta"


@pytest.mark.parametrize(
    "blob",
    [
        zstd(layer(PASSWD)),
        zstd(layer(PASSWD)[:500]) + zstd(layer(PASSWD)[500:]),
        SKIPPED + zstd(layer(PASSWD)) + SKIPPED,
        gzip.compress(layer(PASSWD)[:500]) + gzip.compress(layer(PASSWD)[500:]),
        layer(PASSWD),
    ],
)
def test_layers_are_read_however_they_are_packed(blob: bytes) -> None:
    assert looked_at((blob, digest_of(layer(PASSWD)))).passwd == b"seen"


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(gzip.compress(layer(PASSWD))[:-4], id="gzip cut off"),
        pytest.param(gzip.compress(layer(PASSWD)) + b"rubbish", id="rubbish behind gzip"),
        pytest.param(gzip.compress(layer(PASSWD)) + gzip.compress(HIDDEN), id="a second gzip"),
        pytest.param(zstd(layer(PASSWD))[:-4], id="zstd cut off"),
        pytest.param(zstd(layer(PASSWD)) + b"rubbish", id="rubbish behind zstd"),
        pytest.param(zstd(layer(PASSWD)) + zstd(HIDDEN), id="a second zstd"),
        pytest.param(b"\x28\xb5\x2f\xfd" + bytes(60), id="no zstd"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_layer_that_is_packed_badly_is_refused(blob: bytes) -> None:
    with pytest.raises(AnalysisFailed, match="layer 1 of the image: it "):
        looked_at((blob, digest_of(layer(PASSWD))))
