"""An app that people of a development server sign in to, and requests of it that the server serves."""

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

from api_terminal import b64

BACK = "https://app.example/cb"
VERIFIER = "v" * 43
POLICY = "https://app.example/policy"


class App:
    def __init__(self, world):
        self.world = world
        added = world.admin("app", "add", "--name", "Checked", "--redirect-uri", BACK, "--policy-url", POLICY)
        self.id, self.secret = added["client_id"], added["client_secret"]

    def query(self):
        challenge = b64(hashlib.sha256(VERIFIER.encode()).digest())
        wish = {"response_type": "code", "client_id": self.id, "redirect_uri": BACK, "scope": "openid"}
        return urlencode(wish | {"code_challenge": challenge, "code_challenge_method": "S256"})

    def asked(self):
        return self.world.nobody.send("POST", "/v1/sso/requests", None, {"query": self.query()})

    def agreed(self):
        body = {"query": self.query(), "decision": "agree"}
        return self.world.owner.call("POST", "/v1/sso/authorizations", body)

    def form(self, path, members):
        login = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        return self.world.nobody.send(
            "POST",
            path,
            None,
            text=urlencode(members),
            kind="application/x-www-form-urlencoded",
            headers={"Authorization": f"Basic {login}"},
        )

    def traded(self):
        to = self.world.must(self.agreed()).json()["redirect_to"]
        code = parse_qs(urlsplit(to).query)["code"][0]
        members = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
        return self.form("/oauth/token", members | {"code_verifier": VERIFIER})

    def given_up(self):
        token = self.world.must(self.traded()).json()["refresh_token"]
        return self.form("/oauth/revoke", {"token": token})

    def known(self, method):
        token = self.world.must(self.traded()).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return self.world.nobody.send(method, "/oauth/userinfo", None, headers=headers)

    def removed(self):
        self.world.must(self.agreed())
        return self.world.owner.call("DELETE", f"/v1/me/apps/{self.id}")

    def recipes(self):
        """By method and path of the description."""
        preflight = lambda path: lambda: self.world.nobody.send("OPTIONS", path, None)
        return {
            "POST /v1/sso/requests": self.asked,
            "POST /v1/sso/authorizations": self.agreed,
            "DELETE /v1/me/apps/{id}": self.removed,
            "POST /oauth/token": self.traded,
            "POST /oauth/revoke": self.given_up,
            "GET /oauth/userinfo": lambda: self.known("GET"),
            "POST /oauth/userinfo": lambda: self.known("POST"),
        } | {f"OPTIONS /oauth/{name}": preflight(f"/oauth/{name}") for name in ("token", "revoke", "userinfo")}
