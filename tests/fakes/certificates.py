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
HOUR = timedelta(hours=1)
PEM = serialization.Encoding.PEM
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH


class Authority:
    """A CA, whose certificate is in `file`; what it signs lies beside it.

    All have one name, as a CA and its successor do: the identifier of its key tells whose a
    certificate is.
    """

    def __init__(self, folder: Path, *, lasts: timedelta = HOUR) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "ca.crt"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = (
            _certificate("ca", self._key, signs="ca", lasts=lasts)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(self._key_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(own.public_bytes(PEM))

    def client(
        self, name: str, *dns: str, lasts: timedelta = HOUR, begins: timedelta = -HOUR
    ) -> CertificateFiles:
        """A caller's certificate: its common name, and the DNS names that stand in it besides."""
        names = [x509.SubjectAlternativeName([x509.DNSName(each) for each in dns])] if dns else []
        usage = x509.ExtendedKeyUsage([CLIENT_AUTH])
        return self.signed(name, usage, *names, lasts=lasts, begins=begins)

    def signed(
        self,
        name: str,
        *extensions: x509.ExtensionType,
        subject: x509.Name | None = None,
        lasts: timedelta = HOUR,
        begins: timedelta = -HOUR,
    ) -> CertificateFiles:
        """One of that common name, or of that subject, with just these extensions and the
        identifier of our key."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_id)
        own = _certificate(
            name, key, signs="ca", lasts=lasts, begins=begins, subject=subject
        ).add_extension(signed_by, critical=False)
        for extension in extensions:
            own = own.add_extension(extension, critical=False)
        files = CertificateFiles(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        files.certificate.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        files.key.write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return files


def client_certificate(folder: Path) -> tuple[Path, CertificateFiles]:
    """A CA's file, and a caller's certificate that it signed."""
    authority = Authority(folder)
    return authority.file, authority.client("client")


def server_certificate(folder: Path) -> tuple[Path, CertificateFiles]:
    """A CA's file, and the certificate of a server on the loopback address that it signed."""
    authority = Authority(folder)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return authority.file, authority.signed("server", usage, address)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    signs: str,
    lasts: timedelta = HOUR,
    begins: timedelta = -HOUR,
    subject: x509.Name | None = None,
) -> x509.CertificateBuilder:
    """Of `name`, or of that subject, to be signed by `signs`."""
    named, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, signs)
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject or named)
        .issuer_name(issuer)
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + lasts)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )
