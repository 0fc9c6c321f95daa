"""LinkedIn's id_token: a signed JWT, and the public key to check it with.

The key lives as long as the process; nothing that is signed here is worth more than a sandbox login.
"""

import base64
import json
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_ID = "sandbox-1"


@lru_cache(maxsize=1)
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(claims: dict[str, Any]) -> str:
    """The claims as an RS256 JWT."""
    header = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    body = f"{_packed(json.dumps(header).encode())}.{_packed(json.dumps(claims).encode())}"
    signature = _key().sign(body.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{body}.{_packed(signature)}"


def public_keys() -> dict[str, Any]:
    """The JSON Web Key Set with the one public key."""
    numbers = _key().public_key().public_numbers()
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID}
    return {"keys": [key | {"n": _number(numbers.n), "e": _number(numbers.e)}]}


def _number(value: int) -> str:
    return _packed(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
