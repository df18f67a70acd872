"""Certificates by a CA of the tests' own: an API server's, to show to webhooks, and a server's."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.runtime.tls import CertificateFiles

NOW = datetime.now(UTC)
PEM = serialization.Encoding.PEM


def client_certificate(folder: Path) -> tuple[Path, CertificateFiles]:
    """A CA's file, and a caller's certificate that it signed."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _signed(folder, "client", usage)


def server_certificate(folder: Path) -> tuple[Path, CertificateFiles]:
    """A CA's file, and the certificate of a server on the loopback address that it signed."""
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return _signed(folder, "server", usage, address)


def _signed(
    folder: Path, name: str, *extensions: x509.ExtensionType
) -> tuple[Path, CertificateFiles]:
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = (
        _certificate("ca", ca_key, signs="ca")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    own = _certificate(name, key, signs="ca")
    for extension in extensions:
        own = own.add_extension(extension, critical=False)
    (folder / "ca.crt").write_bytes(ca.public_bytes(PEM))
    files = CertificateFiles(folder / f"{name}.crt", folder / f"{name}.key")
    files.certificate.write_bytes(own.sign(ca_key, hashes.SHA256()).public_bytes(PEM))
    files.key.write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.crt", files


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, *, signs: str
) -> x509.CertificateBuilder:
    """Of `name`, to be signed by `signs`; good for an hour."""
    subject, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, signs)
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )
