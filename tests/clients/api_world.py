"""People, cameras and media of a development server, and for every operation a request that it serves.

A recipe returns the answer to such a request, or raises NotYet when the server's own limits (one message
a minute to a number) ask for patience."""

import base64
import hashlib
import json
import random
import re
import subprocess
import time
import zlib
from urllib.parse import urlsplit

from api_apps import App
from api_identities import Identities
from api_passkey import Passkeys
from api_terminal import Key, Shown, Terminal, b64, from_b64
from api_ways import NotYet, Ways
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# How long a message may take to reach the operator's file, seconds.
SMS_LIMIT = 10
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic: WMS *
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:0
a={direction}
a=rtcp-mux
a=rtcp-rsize
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {fingerprint}
a=setup:{setup}
a=rtpmap:96 H264/90000
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
{source}"""


def png_chunk(kind, body):
    checksum = zlib.crc32(kind + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + kind + body + checksum


# One grey pixel.
PICTURE = b"\x89PNG\r\n\x1a\n" + b"".join(
    png_chunk(*part)
    for part in (
        (b"IHDR", (1).to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"),
        (b"IDAT", zlib.compress(b"\0\x80")),
        (b"IEND", b""),
    )
)


def offer(publishes):
    fingerprint = ":".join(["AB"] * 32)
    source = "a=msid:s v\na=ssrc:77 cname:c\na=ssrc:77 msid:s v\n" if publishes else ""
    direction = "sendonly" if publishes else "recvonly"
    text = OFFER.format(direction=direction, fingerprint=fingerprint, setup="actpass", source=source)
    return text.replace("\n", "\r\n")


def signed(key, label, body):
    return b64(body + key.sign(label.encode() + b"\0" + body))


def binding(serial, epoch):
    return bytes([len(serial)]) + serial.encode() + epoch.to_bytes(8, "big")


def auth_key(secret):
    """The `auth` key of a device secret or publish password."""
    padded = secret + "=" * (-len(secret) % 8)
    return Key(HKDF(SHA256(), 32, None, b"sightline/v1/auth").derive(base64.b32decode(padded)))


class Camera:
    """A sealed camera's identity and what its owner's secret makes."""

    def __init__(self, world, serial):
        self.serial, self.world = serial, world
        self.device = Terminal(world.origin)
        self.auth = Key()
        self.version = int(time.time())
        added = world.admin("device", "add", "--serial", serial, f"--identity={self.device.key.thumbprint()}")
        self.code = added["verification_code"]

    def bind(self, owner):
        answer = owner.call("POST", "/v1/bindings", {"serial": self.serial, "code": self.code})
        if answer.ok:
            self.epoch = answer.json()["binding_epoch"]
        return answer

    def store_verifier(self):
        body = {"binding_epoch": self.epoch, "verifier": b64(self.auth.public)}
        return self.device.call("PUT", "/v1/device/key-verifier", body)

    def next(self):
        self.version += 1
        return self.version

    def list(self):
        body = b"\1" + binding(self.serial, self.epoch) + self.next().to_bytes(8, "big") + b"\0\0"
        return {"list": signed(self.auth, "sightline/v1/viewer-list", body)}

    def order(self):
        body = b"\1" + binding(self.serial, self.epoch) + self.next().to_bytes(8, "big") + b"\1"
        return {"mode": "sealed", "order": signed(self.auth, "sightline/v1/sealing", body)}

    def generation(self):
        self.number = self.next()
        header = b"\1" + (4).to_bytes(2, "big") + binding(self.serial, self.epoch)
        header += b"".join(part.to_bytes(8, "big") for part in (self.number, self.number, 7)) + b"\x09" * 32
        blob = from_b64(signed(self.device.key, "sightline/v1/generation", header)) + b"\0\0"
        return {"blob": b64(blob)}


class World(Ways, Passkeys, Identities):
    def __init__(self, request):
        self.origin, self.binary, self.data = request["origin"], request["sightline"], request["data"]
        self.sms_file, self.rtsp_port = request["sms_file"], request["rtsp_port"]
        self.random = random.Random(request.get("seed", 1))
        self.count = 0
        self.processes = []
        self.owner, self.stranger, self.nobody = self.person(), self.person(), Terminal(self.origin)
        self.camera = Camera(self, "SEALED-1")
        self.must(self.camera.bind(self.owner))
        self.must(self.camera.store_verifier())
        self.open_camera()
        self.agent = Terminal(self.origin)
        self.admin(
            "device", "add", "--serial", "AGENT-1", f"--identity={self.agent.key.thumbprint()}", "--mode", "open"
        )
        self.owner_sms_at = time.time()
        self.guest = self.person()
        for serial in ("SEALED-1", "OPEN-1"):
            self.must(self.accept(self.invite(serial)["code"], self.guest))
        self.operator = self.runs_the_server()
        self.kept, self.windows = {}, set()
        self.early()

    def admin(self, *words):
        command = [self.binary, "admin", "--data", self.data, *words, "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def must(self, answer):
        if answer.status_code == 429:
            raise NotYet
        if not answer.ok:
            raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
        return answer

    def serial(self, word):
        self.count += 1
        return f"{word}-{self.count + 1}"

    def number(self):
        return f"+49{self.random.randrange(1510, 1799)}{self.random.randrange(10**7):07}"

    def sent(self, number):
        """Codes that went to a number or mail address."""
        mail = "@" in number
        kind, place = ("MAIL", f"{self.data}/dev-mail.txt") if mail else ("SMS", self.sms_file)
        form = r"^(\d{6,8}) " if mail else r"^@\S+ #(\d+)"
        try:
            with open(place, encoding="utf-8") as file:
                blocks = file.read().split(f"DEVELOPMENT {kind} to ")[1:]
        except FileNotFoundError:
            return []
        found = (re.search(form, block, re.M) for block in blocks if block.startswith(number))
        return [match[1] for match in found if match]

    def code(self, terminal, wish, number):
        """Asks for a code; the answer, the challenge and the code."""
        before = len(self.sent(number))
        sent = terminal.call("POST", "/v1/otp", wish)
        if sent.status_code == 429:
            raise NotYet
        end = time.time() + SMS_LIMIT
        while time.time() < end:
            codes = self.sent(number)
            if len(codes) > before:
                return sent, sent.json()["challenge_id"], codes[-1]
            time.sleep(0.1)
        raise RuntimeError(f"no code for {wish}: {sent.status_code} {sent.text}")

    def sign_in(self, terminal, number):
        _, challenge, code = self.code(terminal, {"purpose": "login", "target": number}, number)
        body = {"challenge_id": challenge, "code": code, "terminal_name": "Checker", "client_type": "browser"}
        body["consents"] = [{"purpose": "account", "version": 1}]
        answer = self.must(terminal.call("POST", "/v1/sessions", body))
        terminal.took(answer.json())
        terminal.number = number
        return answer

    def person(self, address=None):
        """Somebody new, by a number unless an address is told."""
        terminal = Terminal(self.origin)
        self.sign_in(terminal, address or self.number())
        return terminal

    def runs_the_server(self):
        """A key of their own, and what the database holds of the owner's login."""
        operator = Terminal(self.origin)
        operator.access = b64(hashlib.sha256(self.owner.access.encode()).digest())
        operator.renew_at = float("inf")
        return operator

    def open_camera(self):
        """A camera with a publish password, bound by the owner and live by RTSP."""
        added = self.admin("device", "add", "--open", "--serial", "OPEN-1")
        self.password = added["publish_password"]
        self.open_auth = auth_key(self.password.replace("-", ""))
        issued = self.must(self.owner.call("POST", "/v1/devices/OPEN-1/key-challenge", {"channel": 0})).json()
        signature = b64(self.open_auth.sign(from_b64(issued["message"])))
        body = {"serial": "OPEN-1", "code": added["verification_code"]}
        body |= {"challenge_id": issued["challenge_id"], "signature": signature}
        self.must(self.owner.call("POST", "/v1/bindings", body))
        card = [self.binary, "testcard", "--format", "mkv", "--serial", "OPEN-1"]
        card = subprocess.Popen(card, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        url = f"rtsp://OPEN-1:{self.password}@127.0.0.1:{self.rtsp_port}/OPEN-1/0"
        push = ["ffmpeg", "-v", "error", "-f", "matroska", "-i", "pipe:0", "-c", "copy", "-f", "rtsp"]
        push = subprocess.Popen([*push, "-rtsp_transport", "tcp", url], stdin=card.stdout)
        self.processes = [card, push]

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()

    # Facts of the gate, and media.

    def prove(self, serial, auth, owner=None):
        owner = owner or self.owner
        issued = self.must(owner.call("POST", f"/v1/devices/{serial}/key-challenge", {"channel": 0})).json()
        body = {"challenge_id": issued["challenge_id"], "signature": b64(auth.sign(from_b64(issued["message"])))}
        return owner.call("POST", f"/v1/devices/{serial}/key-proof", body)

    def step_up(self, serial):
        if time.time() < self.owner_sms_at + 61:
            raise NotYet
        wish = {"purpose": "view", "serial": serial}
        _, challenge, code = self.code(self.owner, wish, self.owner.number)
        self.owner_sms_at = time.time()
        answer = self.owner.call("POST", "/v1/step-ups", {"challenge_id": challenge, "code": code})
        self.windows.add(serial)
        return answer

    def gate(self, serial, auth):
        """Everything that a view of the device needs, once."""
        if serial not in self.windows:
            if serial == "OPEN-1":
                # The recipe of step-ups opens this one.
                raise NotYet
            self.must(self.step_up(serial))
        # Others withdraw it at times.
        consent = {"purpose": "media.view", "version": 1, "decision": "granted"}
        self.must(self.owner.call("POST", "/v1/consents", consent))
        if self.kept.get(serial):
            return
        self.must(self.prove(serial, auth))
        self.kept[serial] = True

    def media_grant(self):
        self.gate("OPEN-1", self.open_auth)
        body = {"serial": "OPEN-1", "channel": 0, "action": "live"}
        return self.owner.call("POST", "/v1/media-grants", body)

    def granted(self):
        """The owner's key with a fresh grant."""
        return Shown(self.owner.key, "Bearer", self.must(self.media_grant()).json()["grant"])

    def with_grant(self, kind):
        return self.owner.send("POST", f"/v1/{kind}/OPEN-1/0", self.granted())

    def whep(self):
        return self.owner.send("POST", "/v1/whep/OPEN-1/0", self.granted(), text=offer(False), kind=SDP)

    def whip(self):
        # A camera of its own: the live one would be taken over.
        added = self.admin("device", "add", "--open", "--serial", self.serial("WHIP"))
        shown = Shown(Key(), "Bearer", added["publish_password"], proven=False)
        return self.nobody.send("POST", f"/v1/whip/{added['serial']}/0", shown, text=offer(True), kind=SDP)

    def session(self, kind):
        """Path and entity tag of a fresh media session."""
        answer = self.must(self.whep() if kind == "whep" else self.whip())
        return urlsplit(answer.headers["Location"]).path, answer.headers["ETag"]

    def trickle(self, kind):
        path, tag = self.session(kind)
        fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
        return self.nobody.send("PATCH", path, None, text=fragment, kind=FRAGMENT, headers={"If-Match": tag})

    def end_session(self, kind):
        return self.nobody.send("DELETE", self.session(kind)[0], None)

    # Introductions: opaque messages, in turns.

    def introduction(self, turns=0):
        """A code, after so many turns."""
        opened = self.must(self.stranger.call("POST", "/v1/introductions", {"commitment": b64(bytes(32))}))
        code = opened.json()["code"]
        if turns > 0:
            self.must(self.owner.call("POST", f"/v1/introductions/{code}/reply", {"reply": b64(b"reply")}))
        if turns > 1:
            self.must(self.stranger.call("POST", f"/v1/introductions/{code}/reveal", {"reveal": b64(bytes(80))}))
        return code

    def end_introduction(self, code):
        self.stranger.call("DELETE", f"/v1/introductions/{code}")

    def in_turn(self, turns, who, what, body):
        code = self.introduction(turns)
        answer = who.call("POST", f"/v1/introductions/{code}/{what}", body)
        self.end_introduction(code)
        return answer

    # Throw-away things.

    def camera_of(self, word, owner):
        camera = Camera(self, self.serial(word))
        self.must(camera.bind(owner))
        self.must(camera.store_verifier())
        return camera

    def spare_camera(self):
        camera = Camera(self, self.serial("SPARE"))
        self.spare_owner = self.person() if self.count % 8 == 1 else getattr(self, "spare_owner", self.stranger)
        return camera, self.must(camera.bind(self.spare_owner))

    def unbind_spare(self):
        camera, _ = self.spare_camera()
        return self.spare_owner.call("DELETE", f"/v1/bindings/{camera.serial}")

    def second_terminal(self):
        """A second sign-in of a person, a minute after the first."""
        first, at = self.kept.setdefault("second", (self.person(), time.time()))
        if time.time() < at + 61:
            raise NotYet
        self.sign_in(Terminal(self.origin), first.number)
        del self.kept["second"]
        terminals = self.must(first.call("GET", "/v1/me/terminals")).json()["items"]
        other = next(one["id"] for one in terminals if not one["current"])
        return first.call("DELETE", f"/v1/me/terminals/{other}")

    def withdrawn(self):
        consent = {"purpose": "media.view", "version": 1, "decision": "granted"}
        self.must(self.stranger.call("POST", "/v1/consents", consent))
        return self.stranger.call("DELETE", "/v1/consents/media.view")

    def wrap(self):
        self.must(self.camera.device.call("PUT", "/v1/device/generations", self.camera.generation()))
        body = {"generation": self.camera.number, "wrap": b64(bytes(32) + b"\x09" * 80)}
        return self.owner.call("POST", "/v1/devices/SEALED-1/wraps", body)

    def generations(self):
        self.gate("SEALED-1", self.camera.auth)
        body = {"channel": 0, "recipient": b64(bytes(32)), "limit": 1}
        return self.owner.call("POST", "/v1/devices/SEALED-1/generations", body)

    def order(self):
        self.gate("SEALED-1", self.camera.auth)
        return self.owner.call("PUT", "/v1/devices/SEALED-1/enc-mode", self.camera.order())

    def introduced(self, method):
        code = self.introduction()
        answer = self.stranger.call(method, f"/v1/introductions/{code}")
        self.end_introduction(code)
        return answer

    def first_code(self):
        number = self.number()
        return self.code(Terminal(self.origin), {"purpose": "login", "target": number}, number)[0]

    def publish(self):
        track = {"flow": 1, "payload_type": 96, "codec": "h264", "clock_rate": 90000}
        track |= {"channels": 0, "fmtp": "", "tier": "main"}
        return self.agent.call("POST", "/v1/roq-publish/0", {"tracks": [track], "sealed": False})

    # Consents, facts of devices, handing over, sharing.

    def consent(self, who, purpose):
        items = self.must(self.nobody.send("GET", "/v1/purposes", None)).json()["items"]
        version = next(item["version"] for item in items if item["id"] == purpose)
        self.must(who.call("POST", "/v1/consents", {"purpose": purpose, "version": version, "decision": "granted"}))
        return version

    def agreed(self, purpose, method, path, body=None):
        self.consent(self.owner, purpose)
        return self.owner.call(method, path, body)

    def bind_token(self):
        return self.must(self.stranger.call("POST", "/v1/bind-tokens", {})).json()

    def of_bind_token(self, method):
        return self.stranger.call(method, f"/v1/bind-tokens/{self.bind_token()['id']}")

    def present_token(self):
        camera = Camera(self, self.serial("TOKEN"))
        return camera.device.call("POST", "/v1/device/bind", {"token": self.bind_token()["token"]})

    def tell_hardware(self):
        self.consent(self.owner, "device.hardware")
        hardware = {"type": "camera", "model": "M1", "firmware": "1.0", "mac": None}
        hardware |= {"system_version": "Linux 6", "access_mode": "wifi", "settings": {}}
        body = {"binding_epoch": self.camera.epoch, "hardware": hardware}
        return self.camera.device.call("PUT", "/v1/device/hardware", body)

    def place(self, method):
        path = "/v1/devices/SEALED-1/location"
        put = self.agreed("device.location", "PUT", path, {"city": "Munich"})
        return put if method == "PUT" else self.owner.call(method, path)

    def provision(self):
        network = {"ssid": "Home", "rssi": -50, "access_mode": "wifi"}
        body = {"serial": "SEALED-1", "network": network, "sealed": b64(bytes(64))}
        return self.agreed("device.provision", "POST", "/v1/provisionings", body)

    def take_provision(self):
        self.must(self.provision())
        return self.camera.device.call("POST", "/v1/device/provisioning")

    def codes(self, method):
        self.gate("SEALED-1", self.camera.auth)
        issued = self.owner.call("POST", "/v1/devices/SEALED-1/codes")
        return issued if method == "POST" else self.owner.call("DELETE", "/v1/devices/SEALED-1/codes")

    def reset(self):
        camera, bound = self.spare_camera()
        body = {"binding_epoch": bound.json()["binding_epoch"]}
        return camera.device.call("POST", "/v1/device/reset", body)

    def invite(self, serial="SEALED-1"):
        body = {"scopes": ["view"], "label": "Guest", "attestation": 1}
        return self.must(self.owner.call("POST", f"/v1/devices/{serial}/shares", body)).json()

    def accept(self, code, who):
        consent = self.consent(who, "device.shared")
        body = {"code": code, "consent": consent, "attestation": 1}
        return who.call("POST", "/v1/shares/accept", body)

    def shared(self, then):
        """A fresh share between the owner and the stranger, which ends behind `then`."""
        invited = self.invite()
        accepted = self.accept(invited["code"], self.stranger)
        answer = then(invited["id"]) if then else accepted
        self.owner.call("DELETE", f"/v1/devices/SEALED-1/shares/{invited['id']}")
        return answer

    def later_recipes(self):
        """Of adding, knowing, handing over and sharing devices."""
        of_device, guests = "/v1/devices/SEALED-1/shares", self.stranger
        return {
            "POST /v1/bind-tokens": lambda: guests.call("POST", "/v1/bind-tokens", {}),
            "GET /v1/bind-tokens/{id}": lambda: self.of_bind_token("GET"),
            "DELETE /v1/bind-tokens/{id}": lambda: self.of_bind_token("DELETE"),
            "POST /v1/device/bind": self.present_token,
            "GET /v1/devices/{serial}": lambda: self.owner.call("GET", "/v1/devices/SEALED-1"),
            "PATCH /v1/devices/{serial}": lambda: self.owner.call("PATCH", "/v1/devices/OPEN-1", {"name": "Gate"}),
            "PUT /v1/device/hardware": self.tell_hardware,
            "GET /v1/devices/{serial}/location": lambda: self.place("GET"),
            "PUT /v1/devices/{serial}/location": lambda: self.place("PUT"),
            "DELETE /v1/devices/{serial}/location": lambda: self.place("DELETE"),
            "POST /v1/provisionings": self.provision,
            "POST /v1/device/provisioning": self.take_provision,
            "POST /v1/devices/{serial}/codes": lambda: self.codes("POST"),
            "DELETE /v1/devices/{serial}/codes": lambda: self.codes("DELETE"),
            "POST /v1/device/reset": self.reset,
            "GET /v1/devices/{serial}/shares": lambda: self.owner.call("GET", of_device),
            "POST /v1/devices/{serial}/shares": lambda: self.owner.call(
                "POST", of_device, {"scopes": ["view"], "label": "Guest", "attestation": 1}
            ),
            "PATCH /v1/devices/{serial}/shares/{id}": lambda: self.shared(
                lambda share: self.owner.call("PATCH", f"{of_device}/{share}", {"label": "Neighbour"})
            ),
            "DELETE /v1/devices/{serial}/shares/{id}": lambda: self.shared(
                lambda share: self.owner.call("DELETE", f"{of_device}/{share}")
            ),
            "DELETE /v1/shares/{id}": lambda: self.shared(lambda share: guests.call("DELETE", f"/v1/shares/{share}")),
            "POST /v1/shares/invitation": lambda: guests.call(
                "POST", "/v1/shares/invitation", {"code": self.invite()["code"]}
            ),
            "POST /v1/shares/accept": lambda: self.shared(None),
            "POST /v1/shares/{id}/introduction": lambda: self.shared(
                lambda share: guests.call("POST", f"/v1/shares/{share}/introduction", {"commitment": b64(bytes(32))})
            ),
        }

    def recipes(self):
        """By method and path of the description."""
        owner, camera, nobody = self.owner, self.camera, self.nobody
        poll = {"binding_epoch": 0, "key_epoch": 0}
        plain = lambda method, path: lambda: nobody.send(method, path, None)
        mine = lambda path: lambda: owner.call("GET", path)
        recipes = {
            "POST /v1/otp": self.first_code,
            "POST /v1/sessions": lambda: self.sign_in(Terminal(self.origin), self.number()),
            "POST /v1/sessions/refresh": self.stranger.renew,
            "DELETE /v1/sessions/current": lambda: self.person().call("DELETE", "/v1/sessions/current"),
            "DELETE /v1/me/terminals/{id}": self.second_terminal,
            "POST /v1/consents": lambda: owner.call(
                "POST", "/v1/consents", {"purpose": "media.view", "version": 1, "decision": "granted"}
            ),
            "DELETE /v1/consents/{purpose}": self.withdrawn,
            "POST /v1/bindings": lambda: self.spare_camera()[1],
            "DELETE /v1/bindings/{serial}": self.unbind_spare,
            "POST /v1/devices/{serial}/key-challenge": lambda: owner.call(
                "POST", "/v1/devices/OPEN-1/key-challenge", {"channel": 0}
            ),
            "POST /v1/devices/{serial}/key-proof": lambda: self.prove("OPEN-1", self.open_auth),
            "GET /v1/devices/{serial}/viewer-list": mine("/v1/devices/SEALED-1/viewer-list"),
            "PUT /v1/devices/{serial}/viewer-list": lambda: owner.call(
                "PUT", "/v1/devices/SEALED-1/viewer-list", camera.list()
            ),
            "POST /v1/devices/{serial}/generations": self.generations,
            "POST /v1/devices/{serial}/wraps": self.wrap,
            "GET /v1/devices/{serial}/enc-mode": mine("/v1/devices/SEALED-1/enc-mode"),
            "PUT /v1/devices/{serial}/enc-mode": self.order,
            "POST /v1/introductions": lambda: self.stranger.call(
                "POST", "/v1/introductions", {"commitment": b64(bytes(32))}
            ),
            "GET /v1/introductions/{code}": lambda: self.introduced("GET"),
            "DELETE /v1/introductions/{code}": lambda: self.introduced("DELETE"),
            "POST /v1/introductions/{code}/reply": lambda: self.in_turn(0, owner, "reply", {"reply": b64(b"x")}),
            "POST /v1/introductions/{code}/reveal": lambda: self.in_turn(
                1, self.stranger, "reveal", {"reveal": b64(bytes(80))}
            ),
            "POST /v1/introductions/{code}/outcome": lambda: self.in_turn(2, owner, "outcome", {"added": True}),
            "POST /v1/step-ups": lambda: self.step_up("OPEN-1"),
            "POST /v1/device/poll": lambda: camera.device.call("POST", "/v1/device/poll", poll),
            "PUT /v1/device/key-verifier": camera.store_verifier,
            "GET /v1/device/viewer-list": lambda: camera.device.call("GET", "/v1/device/viewer-list"),
            "PUT /v1/device/generations": lambda: camera.device.call(
                "PUT", "/v1/device/generations", camera.generation()
            ),
            "POST /v1/media-grants": self.media_grant,
            "POST /v1/whep/{serial}/{channel}": self.whep,
            "POST /v1/whip/{serial}/{channel}": self.whip,
            "POST /v1/roq-publish/{channel}": self.publish,
            "GET /v1/live/{serial}": mine("/v1/live/OPEN-1"),
            "HEAD /v1/whep/{serial}/{channel}": plain("HEAD", "/v1/whep/OPEN-1/0"),
        }
        for kind in ("rtsp-handles", "roq-sessions", "webtransport-sessions", "websocket-sessions"):
            recipes[f"POST /v1/{kind}/{{serial}}/{{channel}}"] = lambda kind=kind: self.with_grant(kind)
        for kind in ("whep", "whip"):
            recipes[f"OPTIONS /v1/{kind}/{{serial}}/{{channel}}"] = plain("OPTIONS", f"/v1/{kind}/OPEN-1/0")
            recipes[f"OPTIONS /v1/{kind}-sessions/{{id}}"] = plain("OPTIONS", f"/v1/{kind}-sessions/{'0' * 32}")
            recipes[f"PATCH /v1/{kind}-sessions/{{id}}"] = lambda kind=kind: self.trickle(kind)
            recipes[f"DELETE /v1/{kind}-sessions/{{id}}"] = lambda kind=kind: self.end_session(kind)
        recipes |= self.account_recipes() | self.passkey_recipes() | self.identity_recipes()
        return recipes | self.later_recipes() | self.way_recipes() | App(self).recipes()

    def account_recipes(self):
        owner, here = self.owner, self.here
        permissions = {"camera": "granted"}
        picture = lambda: owner.send("PUT", "/v1/me/avatar", owner.shown("login"), text=PICTURE, kind="image/png")
        agreed = lambda purpose, then: lambda: (self.agree(purpose), then())[1]

        def after_picture(method):
            self.agree("profile")
            self.must(picture())
            return owner.call(method, "/v1/me/avatar")

        return {
            "GET /v1/apps/{client}/version": self.app_version,
            "POST /v1/attestations": self.attested,
            "PATCH /v1/me": agreed("profile", lambda: owner.call("PATCH", "/v1/me", {"nickname": "Anna"})),
            "PUT /v1/me/avatar": agreed("profile", picture),
            "GET /v1/me/avatar": lambda: after_picture("GET"),
            "DELETE /v1/me/avatar": lambda: after_picture("DELETE"),
            "GET /v1/me/oplog/export": lambda: owner.call("GET", "/v1/me/oplog/export?format=csv"),
            "PUT /v1/terminals/{id}": agreed(
                "terminal.security", lambda: owner.call("PUT", f"/v1/terminals/{here()}", {"model": "Test"})
            ),
            "PUT /v1/terminals/{id}/permissions": agreed(
                "terminal.security", lambda: owner.call("PUT", f"/v1/terminals/{here()}/permissions", permissions)
            ),
        }

    def agree(self, purpose):
        body = {"purpose": purpose, "version": 1, "decision": "granted"}
        self.must(self.owner.call("POST", "/v1/consents", body))

    def here(self):
        """Id of the owner's terminal."""
        items = self.must(self.owner.call("GET", "/v1/me/terminals")).json()["items"]
        return next(item["id"] for item in items if item["current"])

    def app_version(self):
        self.admin("app-version", "set", "checked", "--newest", "2.0.0", "--minimum", "1.0.0")
        return self.nobody.send("GET", "/v1/apps/checked/version", None)

    def attested(self):
        texts = self.must(self.nobody.send("GET", "/v1/attestation-texts", None)).json()["items"]
        body = {"kind": texts[0]["kind"], "object": "SEALED-1", "version": texts[0]["version"]}
        return self.owner.call("POST", "/v1/attestations", body)

    def plain_get(self, path, rule):
        """Any GET without parameters, for operations without a recipe."""
        who = self.owner if "login" in rule else self.nobody
        return lambda: who.send("GET", path, who.shown(rule))
