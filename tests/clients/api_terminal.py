"""A terminal or device that talks to the API: an Ed25519 key, proofs, and an address of its own."""

import base64
import hashlib
import itertools
import json
import time
import uuid
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from requests.adapters import HTTPAdapter

# Longest wait for an answer, seconds; a device's poll is held for 25.
TIMEOUT = 40
# The server counts requests and codes by address. All of 127/8 is ours to come from.
ADDRESSES = (f"127.0.{high}.{low}" for high in itertools.count(1) for low in range(1, 255))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class FromAddress(HTTPAdapter):
    """Connections from one address of loopback."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments, **named):
        super().init_poolmanager(*arguments, source_address=(self.address, 0), **named)


class Key:
    def __init__(self, seed=None):
        self.private = Ed25519PrivateKey.from_private_bytes(seed) if seed else Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message):
        return self.private.sign(message)

    def jwk(self):
        return {"crv": "Ed25519", "kty": "OKP", "x": b64(self.public)}

    def thumbprint(self):
        return b64(hashlib.sha256(json.dumps(self.jwk(), separators=(",", ":")).encode()).digest())

    def proof(self, method, url, token=None):
        claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.jwk()}
        signed = ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        return f"{signed}.{b64(self.sign(signed.encode()))}"


class Shown(requests.auth.AuthBase):
    """What a caller shows, put on a request when the rest of it stands."""

    def __init__(self, key, scheme=None, token=None, proven=True):
        self.key, self.scheme, self.token, self.proven = key, scheme, token, proven

    def __call__(self, request):
        parts = urlsplit(request.url)
        if self.proven:
            url = f"{parts.scheme}://{parts.netloc}{parts.path}"
            request.headers["DPoP"] = self.key.proof(request.method, url, self.token)
        if self.token is not None:
            request.headers["Authorization"] = f"{self.scheme} {self.token}"
        return request


class Terminal:
    def __init__(self, origin, key=None):
        self.origin, self.key = origin, key or Key()
        self.access = self.refresh = None
        self.renew_at = 0
        self.number = None
        self.session = requests.Session()
        # The server ends connections on which nothing is asked for a while, which may be just now.
        self.session.headers["Connection"] = "close"
        self.session.mount("http://", FromAddress(next(ADDRESSES)))

    def shown(self, rule):
        """What an operation with this rule wants, as far as this terminal has it."""
        if rule in ("public", "ticket"):
            return None
        if rule in ("key", "device") or self.access is None:
            return Shown(self.key)
        if time.time() > self.renew_at:
            self.renew()
        return Shown(self.key, "DPoP", self.access)

    def send(self, method, path, auth, body=None, text=None, kind=None, headers=None):
        headers = dict(headers or {})
        if text is not None:
            headers["Content-Type"] = kind
        return self.session.request(
            method,
            self.origin + path,
            json=body,
            data=text,
            headers=headers,
            auth=auth,
            timeout=TIMEOUT,
            allow_redirects=False,
        )

    def call(self, method, path, body=None):
        """As the signed-in account, or with the key alone."""
        return self.send(method, path, self.shown("login"), body)

    def took(self, tokens):
        self.access, self.refresh = tokens["access_token"], tokens["refresh_token"]
        self.renew_at = time.time() + tokens["expires_in"] / 2

    def renew(self):
        answer = self.send("POST", "/v1/sessions/refresh", Shown(self.key), {"refresh_token": self.refresh})
        if answer.ok:
            self.took(answer.json())
        return answer
