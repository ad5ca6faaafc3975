"""Logins at the stand-in for an identity provider, as a browser would take them."""

from urllib.parse import parse_qsl, urlsplit

import requests
from api_terminal import Terminal

# Longest wait for the stand-in, seconds.
LIMIT = 10


class Identities:
    """Recipes; a part of the world, which has `serial` and `must`."""

    def way(self, who, path, **more):
        body = {"provider": "development", "redirect_uri": f"{self.origin}/"} | more
        return who.call("POST", path, body)

    def came_back(self, begun, name):
        """What a browser comes back with from the stand-in, whose form it sends."""
        begun = self.must(begun).json()
        at = urlsplit(begun["authorize_url"])
        form = dict(parse_qsl(at.query)) | {"name": name}
        sent = requests.post(at._replace(query="").geturl(), data=form, allow_redirects=False, timeout=LIMIT)
        back = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))
        return {"flow_id": begun["flow_id"]} | {part: back[part] for part in ("state", "code", "iss")}

    def by_provider(self, name):
        """Somebody who signs in by it alone; the terminal and the answer."""
        who = Terminal(self.origin)
        body = self.came_back(self.way(who, "/v1/identity-flows"), name)
        body |= {"terminal_name": "Checker", "client_type": "browser"}
        body["consents"] = [{"purpose": "account", "version": 1}]
        answer = self.must(who.call("POST", "/v1/sessions/provider", body))
        who.took(answer.json())
        return who, answer

    def confirmed_by_provider(self):
        name = self.serial("subject")
        who, _ = self.by_provider(name)
        body = self.came_back(self.way(who, "/v1/me/identity-flows", purpose="confirm"), name)
        return who, who.call("POST", "/v1/secure-windows/provider", body)

    def bound_identity(self):
        who, opened = self.confirmed_by_provider()
        self.must(opened)
        body = self.came_back(self.way(who, "/v1/me/identity-flows", purpose="bind"), self.serial("subject"))
        return who, who.call("POST", "/v1/me/identities", body)

    def unbound_identity(self):
        who, bound = self.bound_identity()
        return who.call("DELETE", f"/v1/me/identities/{self.must(bound).json()['id']}")

    def identity_recipes(self):
        path = "/v1/me/identity-flows"
        return {
            "POST /v1/identity-flows": lambda: self.way(Terminal(self.origin), "/v1/identity-flows"),
            "POST /v1/sessions/provider": lambda: self.by_provider(self.serial("subject"))[1],
            f"POST {path}": lambda: self.way(self.by_provider(self.serial("subject"))[0], path, purpose="confirm"),
            "POST /v1/secure-windows/provider": lambda: self.confirmed_by_provider()[1],
            "POST /v1/me/identities": lambda: self.bound_identity()[1],
            "DELETE /v1/me/identities/{id}": self.unbound_identity,
        }
