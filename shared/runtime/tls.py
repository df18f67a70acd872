"""TLS: a serving certificate made at first start, and the two contexts made from files.

The certificate is self-signed and no CA: whoever trusts it trusts this key for these names and
for nothing else. It is its own CA file (`webhooks[].clientConfig.caBundle`).
"""

import fcntl
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.domain.errors import InvalidSettings

LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=7)
NAMES = ("127.0.0.1", "::1", "localhost")


class CertificateFiles(msgspec.Struct, frozen=True):
    """Where a certificate (PEM, chain allowed) and its key (PEM) are."""

    certificate: Path
    key: Path


def ensure_certificate(
    folder: Path, *, names: tuple[str, ...] = NAMES, now: datetime | None = None
) -> CertificateFiles:
    """The serving certificate in `folder`, made or renewed when less than a week is left.

    Both files have mode 0600. Also made anew when it lacks one of `names` or its key is gone. A
    new one keeps the names of the one before: whoever calls it by one of these still may.
    Raises InvalidSettings when the folder cannot be written.
    """
    now = now or datetime.now(UTC)
    files = CertificateFiles(folder / "webhook.crt", folder / "webhook.key")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(folder):
            if not _usable(files, names=names, now=now):
                key = ec.generate_private_key(ec.SECP256R1())
                every = tuple(sorted({*names, *names_in(files.certificate)}))
                certificate = _self_signed(key, names=every, now=now)
                _write(files.key, _key_bytes(key))
                _write(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise InvalidSettings(
            f"cannot write a certificate into {folder}: {error.strerror}; choose a folder that "
            "this user may write"
        ) from error
    return files


def names_in(certificate: Path) -> set[str]:
    """The host names and addresses that the (first) certificate of a file is for; none where
    there is none."""
    try:
        return _names_of(x509.load_pem_x509_certificate(certificate.read_bytes()))
    except (OSError, ValueError, x509.ExtensionNotFound):
        return set()


def server_context(files: CertificateFiles, *, client_ca: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer; with `client_ca` only callers with a certificate of it get in, by 1.3.

    These show it at each handshake: who went on with a session of before would be let in by a
    certificate that has ended meanwhile, or by a CA that was replaced. Only of 1.3 can that be
    refused here.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        _show(context, files)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettings(
            f"{files.certificate} and {files.key} are not a certificate and its key: {error}"
        ) from error
    if client_ca is not None:
        _load_ca(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
    return context


def certificate_pair(
    certificate: Path | None, key: Path | None, *, setting: str
) -> CertificateFiles | None:
    """What the settings `setting` and `setting`_KEY name, None when neither is set.

    Raises InvalidSettings when only one is.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InvalidSettings(f"{setting} and {setting}_KEY belong together: set both, or neither")
    return CertificateFiles(certificate, key)


def optional_context(
    certificate: Path | None, key: Path | None, *, setting: str
) -> ssl.SSLContext | None:
    """TLS with that pair, or None for plain HTTP when neither is set; raises InvalidSettings."""
    files = certificate_pair(certificate, key, setting=setting)
    return server_context(files) if files is not None else None


def client_context(ca: Path, *, own: CertificateFiles | None = None) -> ssl.SSLContext:
    """Trusts `ca` and nothing else; `own` is what this client shows of itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # A server's own certificate will do, whoever signed it: as Go reads a bundle.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_ca(context, ca)
    if own is not None:
        _show(context, own)
    return context


def days_left(certificate: Path, *, now: datetime | None = None) -> float:
    """Days until the (first) certificate of a file ends; below zero when it has ended."""
    try:
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except OSError as error:
        raise InvalidSettings(
            f"cannot read the certificate {certificate}: {error.strerror}"
        ) from error
    except ValueError as error:
        raise InvalidSettings(f"{certificate} does not begin with a PEM certificate") from error
    return (ends - (now or datetime.now(UTC))) / timedelta(days=1)


def _show(context: ssl.SSLContext, files: CertificateFiles) -> None:
    def passphrase() -> str:
        # Else OpenSSL asks at the terminal, and all stands still until somebody types it.
        raise InvalidSettings(
            f"the key {files.key} has a passphrase, and nobody is there to type it: give the key "
            "without one (`openssl pkey -in KEY -out PLAIN`)"
        )

    context.load_cert_chain(files.certificate, files.key, password=passphrase)


def _load_ca(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise InvalidSettings(f"the CA file {ca} holds no PEM certificate") from error
    except OSError as error:
        raise InvalidSettings(f"cannot read the CA file {ca}: {error.strerror}") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time: two that start at once must not mix their halves of a pair."""
    with open(os.open(folder / "webhook.lock", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _usable(files: CertificateFiles, *, names: tuple[str, ...], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
        covered = _names_of(certificate)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    return (
        certificate.not_valid_after_utc - now > RENEW_BEFORE
        and certificate.not_valid_before_utc <= now
        and covered.issuperset(names)
        and certificate.public_key() == key.public_key()
    )


def _names_of(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)}


def _self_signed(
    key: ec.EllipticCurvePrivateKey, *, names: tuple[str, ...], now: datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imagegate")])
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # A clock that is a little behind must not refuse it.
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    """Replace `path` in one move; nobody else can read it at any moment."""
    fresh = path.with_suffix(f"{path.suffix}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    fresh.replace(path)
