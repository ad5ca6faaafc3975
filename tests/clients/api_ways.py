"""Ways in and out of accounts and devices that take a while: codes to one address are a minute apart, so
whoever needs a second one signs in when the stage is set and does the rest later."""

import time
from urllib.parse import parse_qs, urlsplit

import requests
from api_terminal import Terminal

# Between two codes to one address, seconds.
PAUSE = 61
# What is left of a window that is not used any more, seconds.
MARGIN = 60
# Nobody listens there; the stand-in sends browsers back to this machine only.
REDIRECT = "http://localhost/back"
PASSWORD = "four words of mine"


class NotYet(Exception):
    """The server asks for patience."""


class Ways:
    """Recipes; a part of the world, which has `person`, `code` and `must`."""

    def early(self):
        """Those who need a second code."""
        self.since = time.time()
        self.careful = self.person(self.address())
        self.forgetful = self.person(self.address())
        self.giver, self.given = self.person(), None

    def address(self):
        return f"p{self.random.randrange(10**9)}@mail.example"

    def patience(self):
        if time.time() < self.since + PAUSE:
            raise NotYet

    def secure(self):
        """Opens the careful person's window, by a code."""
        self.patience()
        who = self.careful
        _, challenge, code = self.code(who, {"purpose": "secure"}, who.number)
        return who.call("POST", "/v1/secure-windows", {"challenge_id": challenge, "code": code})

    def confirmed(self):
        """The careful person, whose window is open."""
        if time.time() > self.kept.get("secure", 0):
            self.kept["secure"] = self.must(self.secure()).json()["expires_at"] - MARGIN
        return self.careful

    def new_phone(self):
        who, number = self.confirmed(), self.number()
        _, challenge, code = self.code(who, {"purpose": "identifier", "target": number}, number)
        return who.call("PUT", "/v1/me/identifiers/phone", {"challenge_id": challenge, "code": code})

    def no_phone(self):
        self.must(self.new_phone())
        return self.careful.call("DELETE", "/v1/me/identifiers/phone")

    def reset_password(self):
        self.patience()
        terminal, target = Terminal(self.origin), self.forgetful.number
        _, challenge, code = self.code(terminal, {"purpose": "reset", "target": target}, target)
        body = {"challenge_id": challenge, "code": code, "password": PASSWORD}
        return terminal.call("POST", "/v1/password-resets", body)

    def by_carrier(self):
        facts = self.must(self.nobody.send("GET", "/v1/carrier", None)).json()["carrier"]
        form = {"number": self.number(), "redirect_uri": REDIRECT, "state": "s"}
        back = requests.post(facts["authorize"], data=form, allow_redirects=False, timeout=10)
        token = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
        body = {"token": token, "redirect_uri": REDIRECT, "terminal_name": "Checker", "client_type": "browser"}
        return Terminal(self.origin).call("POST", "/v1/sessions/carrier", body)

    def transfer(self):
        """The giver's camera goes to the stranger."""
        self.patience()
        if self.given is None:
            self.given = self.camera_of("GIVEN", self.giver)
            self.windows_of(self.given, self.giver)
        issued = self.must(self.giver.call("POST", f"/v1/devices/{self.given.serial}/codes")).json()
        return self.stranger.call("POST", "/v1/transfers", {"payload": issued["text"]})

    def windows_of(self, camera, owner):
        """Everything that a dangerous act on the camera needs."""
        _, challenge, code = self.code(owner, {"purpose": "view", "serial": camera.serial}, owner.number)
        self.must(owner.call("POST", "/v1/step-ups", {"challenge_id": challenge, "code": code}))
        self.must(self.prove(camera.serial, camera.auth, owner))

    def lan_grant(self):
        self.gate("SEALED-1", self.camera.auth)
        return self.owner.call("POST", "/v1/lan-grants/SEALED-1/0")

    def way_recipes(self):
        password = lambda: self.confirmed().call("PUT", "/v1/me/password", {"password": PASSWORD})
        return {
            "POST /v1/secure-windows": self.secure,
            "PUT /v1/me/identifiers/{kind}": self.new_phone,
            "DELETE /v1/me/identifiers/{kind}": self.no_phone,
            "PUT /v1/me/password": password,
            "POST /v1/password-resets": self.reset_password,
            "POST /v1/sessions/carrier": self.by_carrier,
            "POST /v1/sessions/basic": lambda: Terminal(self.origin).call("POST", "/v1/sessions/basic"),
            "POST /v1/transfers": self.transfer,
            "POST /v1/lan-grants/{serial}/{channel}": self.lan_grant,
            "GET /v1/live/{serial}/{channel}": lambda: self.owner.call("GET", "/v1/live/OPEN-1/0"),
        }
