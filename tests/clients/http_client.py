"""HTTP for the WHIP and WHEP clients, on the standard library; with DPoP proofs (RFC 9449)."""

import asyncio
import base64
import hashlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TerminalKey:
    """A P-256 key, from PKCS #8 in DER."""

    def __init__(self, pkcs8):
        self.key = serialization.load_der_private_key(pkcs8, None)

    def proof(self, method, url, token):
        numbers = self.key.public_key().public_numbers()
        header = {
            "typ": "dpop+jwt",
            "alg": "ES256",
            "jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": b64url(numbers.x.to_bytes(32, "big")),
                "y": b64url(numbers.y.to_bytes(32, "big")),
            },
        }
        claims = {
            "jti": str(uuid.uuid4()),
            "htm": method,
            "htu": url.split("?")[0],
            "iat": int(time.time()),
            "ath": b64url(hashlib.sha256(token.encode()).digest()),
        }
        signed = ".".join(b64url(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _send(method, url, headers, body):
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, dict(response.headers), response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


async def send(method, url, headers=None, body=None):
    """Status, headers, text."""
    data = body.encode() if body is not None else None
    return await asyncio.to_thread(_send, method, url, headers or {}, data)


async def offer(url, sdp, headers, answered=None):
    """Posts an SDP offer; returns the answer and the absolute session URL, or raises.

    The answer's headers go into the dict `answered`, with names in lower case."""
    headers = {"Content-Type": "application/sdp", **headers}
    status, answer_headers, text = await send("POST", url, headers, sdp)
    if status != 201:
        raise RuntimeError(f"POST answered {status}: {text}")
    lowered = {name.lower(): value for name, value in answer_headers.items()}
    if answered is not None:
        answered.update(lowered)
    return text, urllib.parse.urljoin(url, lowered["location"])
