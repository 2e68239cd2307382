# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, make and compare private keys."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import KeySpec

with contextlib.suppress(ImportError):  # see requirements.py
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

if t.TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificatePublicKeyTypes,
        PrivateKeyTypes,
        PublicKeyTypes,
    )

    SigningKey = t.Union[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey]
    SigningPublicKey = t.Union[rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey]

__all__ = ("PrivateKey", "generate_key", "key_spec", "public_bytes", "signature_hash", "signed_by")


@dataclasses.dataclass
class PrivateKey:
    """A private key with its PEM form. Its repr shows no secret."""

    key: SigningKey = dataclasses.field(repr=False)
    pem: bytes = dataclasses.field(repr=False)

    @property
    def public(self) -> SigningPublicKey:
        """The public half."""
        return self.key.public_key()

    @classmethod
    def load(cls, pem: bytes, *, passphrase: str | None = None) -> PrivateKey:
        """Read a key of a kind that cfssl makes.

        The parts of an RSA key are not checked against each other: that takes 40 ms, reading it 0.02 ms. It is enough
        to compare public halves; where a key signs, its first signature is verified.

        :raises ValueError: with a reason, as the rest of a sentence about the file.
        """
        readable = _readable(pem)
        try:
            key = _load(readable, None)
        except TypeError as error:
            if not passphrase:
                raise ValueError("it is protected by a passphrase and none is given") from error
            try:
                key = _load(readable, passphrase.encode("utf-8"))
            except (ValueError, TypeError, UnsupportedAlgorithm) as inner:
                raise ValueError("the passphrase does not open it, or it is damaged") from inner
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError("it is not a private key that can be read") from error
        if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
            raise ValueError("it is neither an RSA, an ECDSA nor an ed25519 key")
        return cls(key, pem)


def _load(pem: bytes, password: bytes | None) -> PrivateKeyTypes:
    return serialization.load_pem_private_key(pem, password=password, unsafe_skip_rsa_key_validation=True)


def _readable(pem: bytes) -> bytes:
    """Return the PEM without what cfssl and openssl add to it."""
    # cfssl writes PKCS#8 under a header of its own; openssl writes its curve in front of EC keys.
    for edge in (b"BEGIN", b"END"):
        pem = pem.replace(edge + b" Ed25519 PRIVATE KEY", edge + b" PRIVATE KEY")
    return re.sub(rb"-----BEGIN EC PARAMETERS-----.*?-----END EC PARAMETERS-----\s*", b"", pem, flags=re.DOTALL)


def generate_key(spec: KeySpec) -> PrivateKey:
    """Make a key, in the form that cfssl gives it; ed25519 keys are PKCS#8, as nothing else reads cfssl's header."""
    key: SigningKey
    style = serialization.PrivateFormat.TraditionalOpenSSL
    if spec.algo == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=spec.size)
    elif spec.algo == "ecdsa":
        curves = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
        key = ec.generate_private_key(curves[spec.size])
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        style = serialization.PrivateFormat.PKCS8
    return PrivateKey(key, key.private_bytes(serialization.Encoding.PEM, style, serialization.NoEncryption()))


def public_bytes(public: PublicKeyTypes) -> bytes:
    """Return a public key in DER."""
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_spec(public: PublicKeyTypes) -> KeySpec | None:
    """Return the CSR's description of such a key; None for a kind that cfssl does not make."""
    if isinstance(public, rsa.RSAPublicKey):
        return KeySpec("rsa", public.key_size)
    if isinstance(public, ec.EllipticCurvePublicKey):
        size = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}.get(public.curve.name)
        return KeySpec("ecdsa", size) if size else None
    return KeySpec("ed25519", 256) if isinstance(public, ed25519.Ed25519PublicKey) else None


def signature_hash(public: SigningPublicKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Return the hash that cfssl chooses by the signing key; None for ed25519, which has its own."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return None
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size >= 4096:
            return hashes.SHA512()
        return hashes.SHA384() if public.key_size >= 3072 else hashes.SHA256()
    size = public.curve.key_size
    return hashes.SHA512() if size > 384 else hashes.SHA384() if size > 256 else hashes.SHA256()


def signed_by(certificate: x509.Certificate, public: CertificatePublicKeyTypes) -> bool:
    """Return whether this key made the certificate's signature."""
    signed = (certificate.signature, certificate.tbs_certificate_bytes)
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(*signed)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            scheme = certificate.signature_algorithm_parameters
            if not isinstance(scheme, ec.ECDSA):
                return False
            public.verify(*signed, scheme)
        elif isinstance(public, rsa.RSAPublicKey):
            padding, algorithm = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
            public.verify(*signed, padding, algorithm)  # type: ignore[arg-type]  # a TypeError says that it is another
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True
