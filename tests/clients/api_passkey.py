"""An authenticator that holds one passkey and says that its person was verified."""

import hashlib
import json
import os
from urllib.parse import urlsplit

from api_terminal import Key, Terminal, b64

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


class Passkeys:
    """Recipes; a part of the world, which has `confirmed` and `must`."""

    def passkey(self):
        """A new passkey, and what adding it answered."""
        person, passkey = self.confirmed(), Passkey(self.origin)
        options = self.must(person.call("POST", "/v1/me/passkeys/challenges")).json()
        return passkey, person.call("POST", "/v1/me/passkeys", passkey.made(options))

    def kept_passkey(self):
        """A passkey that is used again and again, and its address."""
        if "passkey" not in self.kept:
            passkey, added = self.passkey()
            self.kept["passkey"] = (passkey, f"/v1/me/passkeys/{self.must(added).json()['id']}")
        return self.kept["passkey"]

    def passkey_recipes(self):
        def enter():
            passkey, _ = self.kept_passkey()
            terminal = Terminal(self.origin)
            options = self.must(terminal.call("POST", "/v1/passkeys/challenges")).json()
            return terminal.call("POST", "/v1/sessions/passkey", passkey.shown(options))

        def remove():
            _, added = self.passkey()
            return self.confirmed().call("DELETE", f"/v1/me/passkeys/{self.must(added).json()['id']}")

        return {
            "POST /v1/me/passkeys/challenges": lambda: self.confirmed().call("POST", "/v1/me/passkeys/challenges"),
            "POST /v1/me/passkeys": lambda: self.passkey()[1],
            "PATCH /v1/me/passkeys/{id}": lambda: self.confirmed().call(
                "PATCH", self.kept_passkey()[1], {"name": "Renamed"}
            ),
            "DELETE /v1/me/passkeys/{id}": remove,
            "POST /v1/passkeys/challenges": lambda: Terminal(self.origin).call("POST", "/v1/passkeys/challenges"),
            "POST /v1/sessions/passkey": enter,
        }
