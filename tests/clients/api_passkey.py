"""An authenticator that holds one passkey and says that its person was verified."""

import hashlib
import json
import os
from urllib.parse import urlsplit

from api_terminal import Key, b64

# Somebody was there, was verified, and a credential follows.
VERIFIED, CREDENTIAL = 0b0000_0101, 0b0100_0000


class Passkey:
    def __init__(self, origin):
        self.key, self.id = Key(), os.urandom(32)
        # Browsers bind passkeys to names.
        self.origin = f"http://localhost:{urlsplit(origin).port}"

    def client_data(self, ceremony, options):
        said = {"type": ceremony, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(said).encode()

    def data(self, party, flags, more=b""):
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + bytes(4) + more

    def made(self, options):
        """What is sent to add it."""
        self.user = options["user"]["id"]
        cose = bytes.fromhex("a401010327200621") + b"\x58\x20" + self.key.public
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        return {
            "name": "Checker",
            "client_data_json": b64(self.client_data("webauthn.create", options)),
            "authenticator_data": b64(self.data(options["rp"]["id"], VERIFIED | CREDENTIAL, credential)),
        }

    def shown(self, options):
        """What is sent to sign in."""
        client_data = self.client_data("webauthn.get", options)
        data = self.data(options["rpId"], VERIFIED)
        return {
            "credential_id": b64(self.id),
            "client_data_json": b64(client_data),
            "authenticator_data": b64(data),
            "signature": b64(self.key.sign(data + hashlib.sha256(client_data).digest())),
            "user_handle": self.user,
            "terminal_name": "Checker",
            "client_type": "browser",
        }
