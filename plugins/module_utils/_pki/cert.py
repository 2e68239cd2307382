# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys, certificates and CSRs: read, described, compared, and built as cfssl builds them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import hashlib
import ipaddress
import os
import re
import typing as t
import warnings

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.spec import (
    CA_DEFAULT_EXPIRY,
    DEFAULT_BACKDATE,
    DELEGATION_USAGE,
    EXTENDED_KEY_USAGES,
    KEY_USAGES,
    KeySpec,
    Notes,
    PkiError,
    Policy,
    Profile,
    RawExtension,
    Request,
    classify_hosts,
    duration_text,
)

CRYPTOGRAPHY_ERROR: ImportError | None = None
try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.name import _ASN1Type
    from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, ObjectIdentifier

    # The first release with time-zone aware dates in certificates.
    x509.Certificate.not_valid_after_utc  # noqa: B018
except ImportError as _error:
    CRYPTOGRAPHY_ERROR = _error
except AttributeError as _error:
    CRYPTOGRAPHY_ERROR = ImportError(f"cryptography is too old: {_error}")

__all__ = (
    "CRYPTOGRAPHY_ERROR",
    "Issuer",
    "PrivateKey",
    "Template",
    "authority_key_identifier",
    "authority_template",
    "build_certificate",
    "build_csr",
    "build_name",
    "certificate_facts",
    "certificate_pem",
    "certificate_subject",
    "certificate_text",
    "constraint_differences",
    "differences",
    "fingerprint",
    "generate_key",
    "is_altered",
    "is_authority",
    "iso_time",
    "key_spec",
    "leaf_template",
    "lifetime_difference",
    "load_certificate",
    "load_certificates",
    "may_authenticate_clients",
    "name_text",
    "new_serial",
    "own_key_identifier",
    "public_bytes",
    "signed_by",
    "subject_differences",
    "subject_key_identifier",
    "subject_text",
    "template_text",
)

# cfssl lets a country of three letters or a long CN through, and so do we; openssl reads them.
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)

UTC = dt.timezone.utc
_SHORT_NAMES = {
    "2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.10": "O", "2.5.4.11": "OU", "1.2.840.113549.1.9.1": "emailAddress",
}  # fmt: skip
_KEY_USAGE_NAMES = {bit: name for name, bit in KEY_USAGES.items()}
_EKU_NAMES = {oid: name for name, oid in reversed(EXTENDED_KEY_USAGES.items())}
# Go's PrintableString, without the asterisk and ampersand that it reads but does not write.
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")


# --- private keys ----------------------------------------------------------------------------------


@dataclasses.dataclass
class PrivateKey:
    """A private key with its PEM form. Its repr names no secret."""

    key: t.Any = dataclasses.field(repr=False)
    pem: bytes = dataclasses.field(repr=False)

    @property
    def public(self) -> t.Any:
        return self.key.public_key()

    @classmethod
    def load(cls, pem: bytes, *, passphrase: str | None = None, validate: bool = False) -> PrivateKey:
        """Raises ValueError with a reason. Checking an RSA key fully takes 40 ms, reading it 0.02 ms:
        enough to compare public halves, while a key that is going to sign is checked.
        """
        readable = pem
        # cfssl writes PKCS#8 under a header of its own; openssl writes its curve in front of EC keys.
        readable = readable.replace(b" Ed25519 PRIVATE KEY-----", b" PRIVATE KEY-----")
        readable = readable.replace(b"BEGIN Ed25519 PRIVATE KEY", b"BEGIN PRIVATE KEY")
        readable = readable.replace(b"END Ed25519 PRIVATE KEY", b"END PRIVATE KEY")
        readable = re.sub(
            rb"-----BEGIN EC PARAMETERS-----.*?-----END EC PARAMETERS-----\s*", b"", readable, flags=re.DOTALL
        )
        try:
            key = serialization.load_pem_private_key(
                readable,
                password=None,
                unsafe_skip_rsa_key_validation=not validate,
            )
        except TypeError as error:
            if not passphrase:
                raise ValueError("it is protected by a passphrase and none is given") from error
            try:
                key = serialization.load_pem_private_key(
                    readable, password=passphrase.encode("utf-8"), unsafe_skip_rsa_key_validation=not validate
                )
            except (ValueError, TypeError, UnsupportedAlgorithm) as inner:
                raise ValueError("the passphrase does not open it, or it is damaged") from inner
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError("it is no private key that can be read") from error
        if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
            raise ValueError("it is neither an RSA, an ECDSA nor an ed25519 key")
        return cls(key, pem)


def generate_key(spec: KeySpec) -> PrivateKey:
    if spec.algo == "rsa":
        key: t.Any = rsa.generate_private_key(public_exponent=65537, key_size=spec.size)
        style = serialization.PrivateFormat.TraditionalOpenSSL
    elif spec.algo == "ecdsa":
        curve: t.Any = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}[spec.size]
        key = ec.generate_private_key(curve())
        style = serialization.PrivateFormat.TraditionalOpenSSL
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        style = serialization.PrivateFormat.PKCS8
    return PrivateKey(key, key.private_bytes(serialization.Encoding.PEM, style, serialization.NoEncryption()))


def public_bytes(public: t.Any) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_spec(public: t.Any) -> KeySpec | None:
    """What a CSR would have to say for such a key; None for a kind that cfssl does not make."""
    if isinstance(public, rsa.RSAPublicKey):
        return KeySpec("rsa", public.key_size)
    if isinstance(public, ec.EllipticCurvePublicKey):
        sizes = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}
        size = sizes.get(public.curve.name)
        return KeySpec("ecdsa", size) if size else None
    if isinstance(public, ed25519.Ed25519PublicKey):
        return KeySpec("ed25519", 256)
    return None


def _hash_for(public: t.Any) -> t.Any:
    """The signature hash that cfssl chooses by the signing key; ed25519 has its own."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return None
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size >= 4096:
            return hashes.SHA512()
        return hashes.SHA384() if public.key_size >= 3072 else hashes.SHA256()
    size = public.curve.key_size
    return hashes.SHA512() if size > 384 else hashes.SHA384() if size > 256 else hashes.SHA256()


# --- what a certificate is meant to be -------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Template:
    """Everything about a certificate but its keys, serial number, issuer and dates."""

    subject: tuple[tuple[tuple[str, str], ...], ...]
    sans: tuple[tuple[str, str], ...]
    request_sans: tuple[tuple[str, str], ...]
    key: KeySpec
    key_usages: frozenset[int]
    extended_key_usages: tuple[str, ...]
    is_ca: bool
    path_length: int | None
    expiry: dt.timedelta
    backdate: dt.timedelta
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None
    ocsp_url: str = ""
    crl_url: str = ""
    issuer_urls: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    ocsp_no_check: bool = False
    extensions: tuple[RawExtension, ...] = ()
    request: Request | None = None

    def period(self, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        """notBefore and notAfter of a certificate made now, before any cut to the CA's end."""
        if self.not_before:
            start = self.not_before
        else:
            rounded = (now + dt.timedelta(seconds=30)).replace(second=0, microsecond=0)
            start = rounded - self.backdate
        try:
            end = self.not_after or start + self.expiry
        except OverflowError:
            end = dt.datetime.max.replace(tzinfo=UTC)
        return _whole_seconds(start), _whole_seconds(end)


def _whole_seconds(moment: dt.datetime) -> dt.datetime:
    return moment.replace(microsecond=0)


def authority_template(request: Request, *, where: str, notes: Notes) -> Template:
    """What C(cfssl gencert -initca) makes of a CSR."""
    if not request.subject:
        raise PkiError(f"{where}: the subject is empty. An authority needs a CN or names.")
    sans = classify_hosts(request.hosts, where=where, notes=notes)
    others = [f"{kind}:{value}" for kind, value in sans if kind != "IP"]
    if others:
        notes.mishap(
            f"{where}: cfssl puts only addresses into an authority's certificate, not {', '.join(others)}. "
            "Remove them from hosts.",
            otherwise="they are left out",
        )
    if request.extensions:
        notes.mishap(
            f"{where}: cfssl does not copy the CSR's extensions into an authority's certificate. Remove them.",
            otherwise="they are in the CSR only",
        )
    ca = request.ca
    return Template(
        subject=request.subject,
        sans=tuple(san for san in sans if san[0] == "IP"),
        request_sans=sans,
        key=request.key,
        key_usages=frozenset((KEY_USAGES["cert sign"], KEY_USAGES["crl sign"])),
        extended_key_usages=(),
        is_ca=True,
        path_length=ca.path_length if ca else None,
        expiry=ca.expiry if ca and ca.expiry is not None else CA_DEFAULT_EXPIRY,
        backdate=(ca.backdate if ca else None) or DEFAULT_BACKDATE,
        crl_url=request.crl_url,
        request=request,
    )


def leaf_template(
    request: Request, profile: Profile, hosts: t.Sequence[str] | None, *, where: str, notes: Notes
) -> Template:
    """What C(cfssl gencert -ca ... -profile ... [-hostname ...]) makes of a CSR."""
    if request.ca and not profile.is_ca:
        raise PkiError(
            f"{where}: the CSR has a 'ca' section, but profile {profile.name!r} makes no authorities. "
            "Remove the section, or name a profile with ca_constraint.is_ca."
        )
    # cfssl's -hostname replaces the hosts in the request as well.
    request_sans = classify_hosts(request.hosts if hosts is None else hosts, where=where, notes=notes)
    sans = request_sans
    if profile.is_ca:
        sans = tuple(san for san in sans if san[0] == "IP")
    if not request.subject and not sans:
        raise PkiError(f"{where}: the subject is empty and there are no hosts: the certificate would name nobody.")
    if request.extensions and not profile.copy_extensions:
        kept = [entry for entry in request.extensions if entry.oid != DELEGATION_USAGE]
        if kept:
            notes.mishap(
                f"{where}: the CSR has extensions ({', '.join(entry.oid for entry in kept)}), "
                f"but profile {profile.name!r} does not set copy_extensions.",
                otherwise="they are in the CSR only",
            )
    _check_whitelist(request, profile, sans, where)
    return Template(
        subject=request.subject,
        sans=sans,
        request_sans=request_sans,
        key=request.key,
        key_usages=profile.key_usages,
        extended_key_usages=profile.extended_key_usages,
        is_ca=profile.is_ca,
        path_length=profile.path_length if profile.is_ca else None,
        expiry=profile.expiry,
        backdate=profile.backdate,
        not_before=profile.not_before,
        not_after=profile.not_after,
        ocsp_url=profile.ocsp_url,
        crl_url=profile.crl_url,
        issuer_urls=profile.issuer_urls,
        policies=profile.policies,
        ocsp_no_check=profile.ocsp_no_check,
        extensions=tuple(
            entry for entry in request.extensions if profile.copy_extensions or entry.oid == DELEGATION_USAGE
        ),
        request=request,
    )


def _check_whitelist(request: Request, profile: Profile, sans: t.Iterable[tuple[str, str]], where: str) -> None:
    if profile.name_whitelist is None:
        return
    names = [text for rdn in request.subject for oid, text in rdn if oid == "2.5.4.3"]
    names += [value for kind, value in sans if kind != "IP"]
    for name in names:
        if not profile.name_whitelist.search(name):
            raise PkiError(
                f"{where}: {name!r} does not match name_whitelist {profile.name_whitelist.pattern!r} "
                f"of profile {profile.name!r}."
            )


def _name(subject: t.Iterable[t.Iterable[tuple[str, str]]]) -> t.Any:
    return x509.Name(
        x509.RelativeDistinguishedName(
            x509.NameAttribute(
                ObjectIdentifier(oid),
                text,
                _ASN1Type.PrintableString if _PRINTABLE.fullmatch(text) else _ASN1Type.UTF8String,
                _validate=False,
            )
            for oid, text in rdn
        )
        for rdn in subject
    )


def build_name(template: Template) -> t.Any:
    return _name(template.subject)


def certificate_pem(certificate: t.Any) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(kind: str, value: str) -> t.Any:
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(value))
    makers: dict[str, t.Any] = {"DNS": x509.DNSName, "email": x509.RFC822Name, "URI": x509.UniformResourceIdentifier}
    return makers[kind](value)


def _key_usage(bits: frozenset[int]) -> t.Any:
    flags = [bit in bits for bit in range(9)]
    if (flags[7] or flags[8]) and not flags[4]:
        # Meaningless without key agreement, and `cryptography` refuses it, but cfssl writes it.
        number = sum(1 << (15 - bit) for bit in bits)
        content = number.to_bytes(2, "big").rstrip(b"\x00")
        unused = 7 - (max(bits) % 8)
        return x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, bytes((3, len(content) + 1, unused)) + content)
    return x509.KeyUsage(
        digital_signature=flags[0],
        content_commitment=flags[1],
        key_encipherment=flags[2],
        data_encipherment=flags[3],
        key_agreement=flags[4],
        key_cert_sign=flags[5],
        crl_sign=flags[6],
        encipher_only=flags[7],
        decipher_only=flags[8],
    )


def _policies(policies: t.Iterable[Policy]) -> t.Any:
    return x509.CertificatePolicies(
        [
            x509.PolicyInformation(
                ObjectIdentifier(policy.oid),
                [text if kind == "id-qt-cps" else x509.UserNotice(None, text) for kind, text in policy.qualifiers]
                or None,
            )
            for policy in policies
        ]
    )


def _san_extension(sans: t.Iterable[tuple[str, str]]) -> t.Any:
    return x509.SubjectAlternativeName([_general_name(kind, value) for kind, value in sans])


def new_serial() -> int:
    """20 random bytes with the top bit clear."""
    raw = os.urandom(20)
    return int.from_bytes(bytes((raw[0] & 0x7F,)) + raw[1:], "big") or 1


def subject_key_identifier(public: t.Any) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(public).digest


@dataclasses.dataclass(frozen=True)
class Issuer:
    """Who signs, for a certificate that does not sign itself."""

    subject: t.Any
    key_identifier: bytes | None


def build_certificate(
    template: Template,
    public: t.Any,
    issuer: Issuer | None,
    *,
    signing_key: t.Any,
    serial: int,
    not_before: dt.datetime,
    not_after: dt.datetime,
) -> t.Any:
    """The certificate, its extensions in cfssl's order."""
    subject = _name(template.subject)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject if issuer else subject,
        subject_name=subject,
        public_key=public,
        serial_number=serial,
        not_valid_before=not_before.replace(tzinfo=None),
        not_valid_after=not_after.replace(tzinfo=None),
    )
    if template.key_usages:
        builder = builder.add_extension(_key_usage(template.key_usages), critical=True)
    if template.extended_key_usages:
        usages = [ObjectIdentifier(oid) for oid in template.extended_key_usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(template.is_ca, template.path_length), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier(subject_key_identifier(public)), critical=False)
    if issuer and issuer.key_identifier and issuer.subject != subject:
        authority = x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None)
        builder = builder.add_extension(authority, critical=False)
    for extension, critical in _optional_extensions(template, subject):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signing_key, _hash_for(signing_key.public_key()))


def _optional_extensions(template: Template, subject: t.Any) -> t.Iterator[tuple[t.Any, bool]]:
    access = []
    if template.ocsp_url:
        access.append((AuthorityInformationAccessOID.OCSP, template.ocsp_url))
    access += [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in template.issuer_urls]
    if access:
        descriptions = [x509.AccessDescription(oid, x509.UniformResourceIdentifier(url)) for oid, url in access]
        yield x509.AuthorityInformationAccess(descriptions), False
    if template.sans:
        yield _san_extension(template.sans), not list(subject)
    if template.crl_url:
        name = [x509.UniformResourceIdentifier(template.crl_url)]
        yield x509.CRLDistributionPoints([x509.DistributionPoint(name, None, None, None)]), False
    for entry in template.extensions:
        yield x509.UnrecognizedExtension(ObjectIdentifier(entry.oid), entry.value), entry.critical
    if template.policies:
        yield _policies(template.policies), False
    if template.ocsp_no_check:
        yield x509.OCSPNoCheck(), False


def build_csr(template: Template, key: t.Any) -> bytes:
    """The PKCS#10 request that cfssl leaves beside the certificate."""
    builder = x509.CertificateSigningRequestBuilder(subject_name=_name(template.subject))
    if template.request_sans:
        builder = builder.add_extension(_san_extension(template.request_sans), critical=False)
    request = template.request
    if request and request.ca:
        builder = builder.add_extension(x509.BasicConstraints(True, request.ca.path_length), critical=True)
    for entry in request.extensions if request else ():
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier(entry.oid), entry.value), critical=entry.critical
        )
    csr = builder.sign(key, _hash_for(key.public_key()))
    if not csr.is_signature_valid:
        raise PkiError("the private key is damaged: what it signs does not verify.")
    return csr.public_bytes(serialization.Encoding.PEM)


# --- reading certificates --------------------------------------------------------------------------


def load_certificate(pem: bytes) -> t.Any:
    """The first certificate of a PEM file, with every part readable that is looked at later.

    Raises ValueError.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.public_key()
        _read(certificate)
        name_text(certificate.issuer)
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
        x509.DuplicateExtension,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return certificate


def load_certificates(pem: bytes) -> list[t.Any]:
    """All certificates of a PEM file, at least one. Raises ValueError."""
    first = load_certificate(pem)
    try:
        return [first, *x509.load_pem_x509_certificates(pem)[1:]]
    except ValueError as error:
        raise ValueError(f"a later certificate in it: {error}") from error


@dataclasses.dataclass
class _Content:
    subject: list[tuple[str, str]]
    sans: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    key_usages: frozenset[int] | None = None
    extended_key_usages: list[str] = dataclasses.field(default_factory=list)
    is_ca: bool = False
    path_length: int | None = None
    key_identifier: bytes | None = None
    authority_key_identifier: bytes | None = None
    access: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    crl_urls: list[str] = dataclasses.field(default_factory=list)
    policies: t.Any = None
    ocsp_no_check: bool = False
    others: dict[str, tuple[bool, bytes]] = dataclasses.field(default_factory=dict)


@functools.cache
def _read(certificate: t.Any) -> _Content:
    content = _Content([(attribute.oid.dotted_string, _as_text(attribute.value)) for attribute in certificate.subject])
    extensions, agreement_added = _extensions(certificate)
    for extension in extensions:
        value, oid = extension.value, extension.oid.dotted_string
        if isinstance(value, x509.SubjectAlternativeName):
            content.sans = [_san(name) for name in value]
        elif isinstance(value, x509.KeyUsage):
            bits = _usage_bits(value.public_bytes()[3:])
            content.key_usages = bits - {KEY_USAGES["key agreement"]} if agreement_added else bits
        elif isinstance(value, x509.ExtendedKeyUsage):
            content.extended_key_usages = [usage.dotted_string for usage in value]
        elif isinstance(value, x509.BasicConstraints):
            content.is_ca, content.path_length = value.ca, value.path_length
        elif isinstance(value, x509.SubjectKeyIdentifier):
            content.key_identifier = value.digest
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            content.authority_key_identifier = value.key_identifier
        elif isinstance(value, x509.AuthorityInformationAccess):
            content.access = [(entry.access_method.dotted_string, _san(entry.access_location)[1]) for entry in value]
        elif isinstance(value, x509.CRLDistributionPoints):
            content.crl_urls = [_san(name)[1] for point in value for name in point.full_name or ()]
        elif isinstance(value, x509.CertificatePolicies):
            content.policies = value
        elif isinstance(value, x509.OCSPNoCheck):
            content.ocsp_no_check = True
        # As they stand, for what a CSR's own extensions are compared with.
        content.others[oid] = (extension.critical, value.public_bytes())
    return content


# OID 2.5.29.15, perhaps critical, and an OCTET STRING around the BIT STRING: its unused bits, then the bits.
_KEY_USAGE_DER = re.compile(
    rb"(\x06\x03\x55\x1d\x0f(?:\x01\x01\xff)?(?:\x04\x04\x03\x02[\x00-\x07](?=.)|\x04\x05\x03\x03[\x00-\x07](?=..)))(.)",
    re.DOTALL,
)


def _extensions(certificate: t.Any) -> tuple[t.Any, bool]:
    """The extensions, and whether 'key agreement' was added to read them.

    "encipher only" without "key agreement" says nothing, but cfssl writes it, and `cryptography` then refuses to read
    any extension of the certificate. So they are read from a copy that has the bit.
    """
    try:
        return certificate.extensions, False
    except ValueError as error:
        if "key_agreement" not in str(error):
            raise
    der = certificate.public_bytes(serialization.Encoding.DER)
    readable = _KEY_USAGE_DER.sub(lambda found: found[1] + bytes((found[2][0] | 0x08,)), der, count=1)
    return x509.load_der_x509_certificate(readable).extensions, True


def _usage_bits(content: bytes) -> frozenset[int]:
    return frozenset(index * 8 + bit for index, byte in enumerate(content) for bit in range(8) if byte & (0x80 >> bit))


def _as_text(value: t.Any) -> str:
    return value if isinstance(value, str) else value.hex()


def _san(name: t.Any) -> tuple[str, str]:
    if isinstance(name, x509.DNSName):
        return ("DNS", name.value)
    if isinstance(name, x509.IPAddress):
        return ("IP", str(name.value))
    if isinstance(name, x509.RFC822Name):
        return ("email", name.value)
    if isinstance(name, x509.UniformResourceIdentifier):
        return ("URI", name.value)
    return (type(name).__name__, str(name.value))


def subject_text(subject: t.Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{_SHORT_NAMES.get(oid, oid)}={text}" for oid, text in subject) or "(empty)"


def name_text(name: t.Any) -> str:
    return subject_text((attribute.oid.dotted_string, _as_text(attribute.value)) for attribute in name)


def iso_time(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def fingerprint(certificate: t.Any) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def serial_text(serial: int) -> str:
    """As `openssl x509 -serial` prints it."""
    text = f"{serial:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def _usage_names(bits: t.Iterable[int]) -> list[str]:
    return [_KEY_USAGE_NAMES.get(bit, str(bit)) for bit in sorted(bits)]


def _eku_names(oids: t.Iterable[str]) -> list[str]:
    return [_EKU_NAMES.get(oid, oid) for oid in oids]


def certificate_facts(certificate: t.Any, *, now: dt.datetime) -> dict[str, t.Any]:
    content = _read(certificate)
    end = certificate.not_valid_after_utc
    return {
        "subject": subject_text(content.subject),
        "issuer": name_text(certificate.issuer),
        "serial": serial_text(certificate.serial_number),
        "not_before": iso_time(certificate.not_valid_before_utc),
        "not_after": iso_time(end),
        "days_left": (end - now) // dt.timedelta(days=1),
        "sans": [f"{kind}:{value}" for kind, value in content.sans],
        "fingerprint_sha256": fingerprint(certificate),
    }


def certificate_text(certificate: t.Any) -> str:
    """A certificate for people, one field a line; for diffs."""
    content = _read(certificate)
    public = certificate.public_key()
    lines = _content_lines(
        subject=content.subject,
        sans=content.sans,
        spec=key_spec(public),
        key_usages=content.key_usages or (),
        extended=content.extended_key_usages,
        is_ca=content.is_ca,
        path_length=content.path_length,
        access=content.access,
        crl_urls=content.crl_urls,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
    lines.insert(1, f"issuer: {name_text(certificate.issuer)}")
    lines.insert(2, f"serial: {serial_text(certificate.serial_number)}")
    lines.append(f"public key SHA-256: {hashlib.sha256(public_bytes(public)).hexdigest()}")
    return "\n".join(lines) + "\n"


def template_text(
    template: Template, *, issuer: str, public: t.Any | None, not_before: dt.datetime, not_after: dt.datetime
) -> str:
    """The same text for a certificate that check mode does not make."""
    access = [("1.3.6.1.5.5.7.48.1", template.ocsp_url)] if template.ocsp_url else []
    access += [("1.3.6.1.5.5.7.48.2", url) for url in template.issuer_urls]
    flat = [attribute for rdn in template.subject for attribute in rdn]
    lines = _content_lines(
        subject=flat,
        sans=template.sans,
        spec=template.key,
        key_usages=template.key_usages,
        extended=template.extended_key_usages,
        is_ca=template.is_ca,
        path_length=template.path_length,
        access=access,
        crl_urls=[template.crl_url] if template.crl_url else [],
        not_before=not_before,
        not_after=not_after,
    )
    lines.insert(1, f"issuer: {issuer or subject_text(flat)}")
    lines.insert(2, "serial: (a new one)")
    lines.append(f"public key SHA-256: {hashlib.sha256(public_bytes(public)).hexdigest() if public else '(a new key)'}")
    return "\n".join(lines) + "\n"


def _content_lines(
    *,
    subject: t.Iterable[tuple[str, str]],
    sans: t.Iterable[tuple[str, str]],
    spec: KeySpec | None,
    key_usages: t.Iterable[int],
    extended: t.Iterable[str],
    is_ca: bool,
    path_length: int | None,
    access: t.Iterable[tuple[str, str]],
    crl_urls: t.Iterable[str],
    not_before: dt.datetime,
    not_after: dt.datetime,
) -> list[str]:
    lines = [
        f"subject: {subject_text(subject)}",
        f"not before: {iso_time(not_before)}",
        f"not after: {iso_time(not_after)}",
        f"key: {spec or 'of another kind'}",
        f"key usages: {', '.join(_usage_names(key_usages)) or 'none'}",
        f"extended key usages: {', '.join(_eku_names(extended)) or 'none'}",
        f"authority: {'yes' if is_ca else 'no'}" + ("" if path_length is None else f", path length {path_length}"),
    ]
    lines += [f"SAN: {kind}:{value}" for kind, value in sans]
    lines += [f"OCSP: {url}" for oid, url in access if oid == "1.3.6.1.5.5.7.48.1"]
    lines += [f"CA issuers: {url}" for oid, url in access if oid == "1.3.6.1.5.5.7.48.2"]
    lines += [f"CRL: {url}" for url in crl_urls]
    return lines


# --- comparing -------------------------------------------------------------------------------------


def signed_by(certificate: t.Any, public: t.Any) -> bool:
    """Whether this key made the certificate's signature."""
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(certificate.signature, certificate.tbs_certificate_bytes)
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(
                certificate.signature,
                certificate.tbs_certificate_bytes,
                certificate.signature_algorithm_parameters,
                certificate.signature_hash_algorithm,
            )
        else:
            public.verify(
                certificate.signature,
                certificate.tbs_certificate_bytes,
                certificate.signature_algorithm_parameters,
            )
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def is_altered(certificate: t.Any) -> bool:
    """Whether a self-signed certificate is not what its own key has signed."""
    return certificate.issuer == certificate.subject and not signed_by(certificate, certificate.public_key())


def differences(certificate: t.Any, template: Template) -> list[str]:
    """Sentences about everything but key, issuer and dates in which a certificate does not fit."""
    content = _read(certificate)
    reasons = subject_differences(content.subject, template)
    reasons += _missing_and_extra(
        "SAN", [f"{kind}:{value}" for kind, value in content.sans], [f"{kind}:{value}" for kind, value in template.sans]
    )
    reasons += _missing_and_extra(
        "key usage", _usage_names(content.key_usages or ()), _usage_names(template.key_usages)
    )
    reasons += _missing_and_extra(
        "extended key usage", _eku_names(content.extended_key_usages), _eku_names(template.extended_key_usages)
    )
    reasons += constraint_differences(certificate, template)
    access = [("1.3.6.1.5.5.7.48.1", template.ocsp_url)] if template.ocsp_url else []
    access += [("1.3.6.1.5.5.7.48.2", url) for url in template.issuer_urls]
    labels = {"1.3.6.1.5.5.7.48.1": "OCSP", "1.3.6.1.5.5.7.48.2": "CA issuers"}
    reasons += _missing_and_extra(
        "access location",
        [f"{labels.get(oid, oid)} {url}" for oid, url in content.access],
        [f"{labels[oid]} {url}" for oid, url in access],
    )
    reasons += _missing_and_extra("CRL URL", content.crl_urls, [template.crl_url] if template.crl_url else [])
    if content.policies != (_policies(template.policies) if template.policies else None):
        reasons.append("the certificate policies are not those of the profile")
    if content.ocsp_no_check != template.ocsp_no_check:
        reasons.append(f"OCSP no-check is {'missing' if template.ocsp_no_check else 'there and not wanted'}")
    for entry in template.extensions:
        if content.others.get(entry.oid) != (entry.critical, entry.value):
            reasons.append(f"extension {entry.oid} is missing or different")
    with contextlib.suppress(UnsupportedAlgorithm):
        algorithm = certificate.signature_hash_algorithm
        if algorithm is not None and algorithm.name in ("md5", "sha1"):
            reasons.append(f"it is signed with {algorithm.name.upper()}, which is no longer accepted")
    return reasons


def subject_differences(found: t.Iterable[tuple[str, str]], template: Template) -> list[str]:
    wanted = [attribute for rdn in template.subject for attribute in rdn]
    found = list(found)
    # Other tools write the same names in another order.
    if sorted(found) == sorted(wanted):
        return []
    return [f"the subject is {subject_text(found)} instead of {subject_text(wanted)}"]


def certificate_subject(certificate: t.Any) -> list[tuple[str, str]]:
    return _read(certificate).subject


def constraint_differences(certificate: t.Any, template: Template) -> list[str]:
    content = _read(certificate)
    if content.is_ca != template.is_ca:
        return ["it is an authority and must not be" if content.is_ca else "it is not an authority and must be"]
    if content.path_length != template.path_length:
        found, wanted = (
            "unlimited" if length is None else str(length) for length in (content.path_length, template.path_length)
        )
        return [f"the path length is {found} instead of {wanted}"]
    return []


def authority_key_identifier(certificate: t.Any) -> bytes | None:
    return _read(certificate).authority_key_identifier


def own_key_identifier(certificate: t.Any) -> bytes | None:
    return _read(certificate).key_identifier


def is_authority(certificate: t.Any) -> bool:
    content = _read(certificate)
    may_sign = content.key_usages is None or KEY_USAGES["cert sign"] in content.key_usages
    return content.is_ca and may_sign


def may_authenticate_clients(certificate: t.Any) -> bool:
    usages = _read(certificate).extended_key_usages
    return not usages or bool({EXTENDED_KEY_USAGES["client auth"], EXTENDED_KEY_USAGES["any"]}.intersection(usages))


def _missing_and_extra(what: str, found: t.Sequence[str], wanted: t.Sequence[str]) -> list[str]:
    missing = [entry for entry in dict.fromkeys(wanted) if entry not in found]
    extra = [entry for entry in dict.fromkeys(found) if entry not in wanted]
    reasons = [f"{what} {entry} is missing" for entry in missing]
    return reasons + [f"{what} {entry} is there and not wanted" for entry in extra]


def lifetime_difference(certificate: t.Any, template: Template, *, ca_end: dt.datetime | None) -> str | None:
    """Whether the certificate was made for about the time that the profile asks for."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if template.not_before and start != template.not_before:
        return f"it is valid from {iso_time(start)} instead of {iso_time(template.not_before)}"
    if template.not_after:
        wanted = min(template.not_after, ca_end) if ca_end else template.not_after
        return None if end == wanted else f"it ends on {iso_time(end)} instead of {iso_time(wanted)}"
    lifetime = end - start
    slack = max(template.expiry / 10, dt.timedelta(minutes=10))
    if abs(lifetime - template.expiry) <= slack:
        return None
    if lifetime < template.expiry and ca_end and end == ca_end:
        return None  # cut to the end of its authority, which is still the same
    return f"it was made for {duration_text(lifetime)}, the profile asks for {duration_text(template.expiry)}"
