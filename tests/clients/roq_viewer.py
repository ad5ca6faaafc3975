#!/usr/bin/env python3
"""A RoQ viewer of its own on aioquic: no code of the project, so that it can disagree with it.

Takes the JSON of a RoQ session (the answer of POST /v1/roq-sessions/...), connects with the
session's server name and a P-256 client certificate, receives streams and datagrams, writes the
picture as Annex-B and the sound as samples, and prints one JSON line of statistics at the end.

  roq_viewer.py --session session.json --key terminal.pem --ca ca.pem --out out.h264 --seconds 5
"""

import argparse
import asyncio
import datetime
import functools
import json
import ssl
import sys
import time

import av
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    StreamDataReceived,
    StreamReset,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MAX_PACKET = 4 * 1024 * 1024
START_CODE = b"\0\0\0\1"


def read_varint(data, at):
    """Value and next place of a QUIC integer, or None if it is not whole."""
    if at >= len(data):
        return None
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        return None
    value = data[at] & 0x3F
    for byte in data[at + 1 : at + size]:
        value = value << 8 | byte
    return value, at + size


def write_varint(value):
    for size, prefix in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


class Stream:
    """Packets of one uni stream."""

    def __init__(self):
        self.data = bytearray()
        self.flow = None

    def feed(self, chunk):
        self.data += chunk
        if self.flow is None:
            head = read_varint(self.data, 0)
            if head is None:
                return
            self.flow, used = head
            del self.data[:used]
        while True:
            head = read_varint(self.data, 0)
            if head is None:
                return
            length, used = head
            if not 0 < length <= MAX_PACKET:
                raise ValueError(f"packet of length {length}")
            if used + length > len(self.data):
                return
            packet = bytes(self.data[used : used + length])
            del self.data[: used + length]
            yield self.flow, packet


class H264:
    """Unit headers of RFC 6184: single units, STAP-A and FU-A."""

    header, aggregate, fragment = 1, 24, 28
    first, keyframes = 7, (5,)

    @staticmethod
    def kind(unit):
        return unit[0] & 31

    @staticmethod
    def rebuilt(payload):
        return bytes([payload[0] & 0xE0 | payload[1] & 31])


class H265:
    """Unit headers of RFC 7798: single units, aggregates and fragments, without DONL."""

    header, aggregate, fragment = 2, 48, 49
    first, keyframes = 32, (19, 20, 21)

    @staticmethod
    def kind(unit):
        return unit[0] >> 1 & 63

    @staticmethod
    def rebuilt(payload):
        return bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]])


PICTURES = {"h264": H264, "h265": H265}


class Depacketizer:
    """Units in sequence order, from the first parameter set on."""

    def __init__(self, codec, out):
        self.codec = codec
        self.out = out
        self.expected = None
        self.waiting = {}
        self.fragment = None
        self.started = False
        self.lost = 0
        self.units = 0
        self.frames = 0
        self.keyframes = 0

    def feed(self, seq, marker, payload):
        if self.expected is None:
            self.expected = seq
        ahead = (seq - self.expected) & 0xFFFF
        if ahead >= 0x8000:
            return
        self.waiting[seq] = (marker, payload)
        # A hole is given up once many later packets are there.
        if len(self.waiting) > 512:
            while self.expected not in self.waiting:
                self.expected = (self.expected + 1) & 0xFFFF
                self.lost += 1
                self.fragment = None
        while self.expected in self.waiting:
            marker, payload = self.waiting.pop(self.expected)
            self.expected = (self.expected + 1) & 0xFFFF
            self.packet(payload)
            self.frames += marker

    def packet(self, payload):
        codec = self.codec
        if len(payload) <= codec.header:
            return
        kind = codec.kind(payload)
        if kind == codec.aggregate:
            at = codec.header
            while at + 2 <= len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                self.unit(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == codec.fragment:
            flags, body = payload[codec.header], payload[codec.header + 1 :]
            if flags & 0x80:
                self.fragment = bytearray(codec.rebuilt(payload))
            if self.fragment is not None:
                self.fragment += body
                if flags & 0x40:
                    self.unit(bytes(self.fragment))
                    self.fragment = None
        else:
            self.unit(payload)

    def unit(self, unit):
        if not unit:
            return
        kind = self.codec.kind(unit)
        self.keyframes += kind in self.codec.keyframes
        self.started |= kind == self.codec.first
        if self.started:
            self.units += 1
            self.out.write(START_CODE + unit)


class Sound:
    """Decodes the sound to 16-bit mono at 8 kHz."""

    CODECS = {"opus": "opus", "pcma": "pcm_alaw", "pcmu": "pcm_mulaw", "aac": "aac"}

    def __init__(self, track, out):
        self.decoder = av.CodecContext.create(self.CODECS[track["codec"]], "r")
        self.decoder.sample_rate = track["clock_rate"]
        self.decoder.layout = "stereo" if track["channels"] == 2 else "mono"
        self.aac = track["codec"] == "aac"
        if self.aac:
            parameters = dict(
                part.strip().split("=", 1) for part in track["fmtp"].split(";") if "=" in part
            )
            self.decoder.extradata = bytes.fromhex(parameters["config"])
        self.resampler = av.AudioResampler(format="s16", layout="mono", rate=8000)
        self.out = out

    def units(self, payload):
        """Access units; those of AAC stand behind their sizes (RFC 3640, AAC-hbr)."""
        if not self.aac:
            return [payload]
        end = 2 + int.from_bytes(payload[:2], "big") // 8
        at, units = end, []
        for head in range(2, end, 2):
            size = int.from_bytes(payload[head : head + 2], "big") >> 3
            units.append(payload[at : at + size])
            at += size
        return units

    def feed(self, payload):
        for unit in self.units(payload):
            for frame in self.decoder.decode(av.Packet(unit)):
                for part in self.resampler.resample(frame):
                    self.out.write(part.to_ndarray().tobytes())


class Viewer(QuicConnectionProtocol):
    def __init__(self, *args, session, out, sound, started, **kwargs):
        super().__init__(*args, **kwargs)
        self.streams = {}
        self.closed = None
        self.ended = asyncio.Event()
        self.stats = {"streams": 0, "datagrams": 0, "rtp": 0, "rtcp": 0, "bytes": 0}
        self.stats |= {"reports": 0, "resets": 0, "unknown_flows": 0, "first_packet_ms": None}
        self.begun = started
        self.tracks = {track["flow"]: track for track in session["tracks"]}
        video = [t for t in session["tracks"] if t["codec"] in PICTURES]
        self.depacketizers = {
            t["flow"]: Depacketizer(PICTURES[t["codec"]], out) for t in video[:1]
        }
        heard = [t for t in session["tracks"] if sound and t["codec"] in Sound.CODECS]
        self.sounds = {heard[0]["flow"]: Sound(heard[0], sound)} if heard else {}

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            if event.stream_id not in self.streams:
                self.streams[event.stream_id] = Stream()
                self.stats["streams"] += 1
            for flow, packet in self.streams[event.stream_id].feed(event.data):
                self.packet(flow, packet)
            if event.end_stream:
                del self.streams[event.stream_id]
        elif isinstance(event, StreamReset):
            self.stats["resets"] += 1
            self.streams.pop(event.stream_id, None)
        elif isinstance(event, DatagramFrameReceived):
            self.stats["datagrams"] += 1
            head = read_varint(event.data, 0)
            if head is not None:
                self.packet(head[0], event.data[head[1] :])
        elif isinstance(event, ConnectionTerminated):
            self.closed = {"code": event.error_code, "reason": event.reason_phrase}
            self.ended.set()

    def packet(self, flow, packet):
        if flow not in self.tracks:
            self.stats["unknown_flows"] += 1
            return
        if len(packet) >= 8 and 192 <= packet[1] <= 223:
            self.stats["rtcp"] += 1
            self.stats["reports"] += packet[1] == 200
            return
        if len(packet) <= 12 or packet[0] >> 6 != 2:
            return
        if self.stats["first_packet_ms"] is None:
            elapsed = time.monotonic() - self.begun
            self.stats["first_packet_ms"] = round(elapsed * 1000, 1)
        self.stats["rtp"] += 1
        self.stats["bytes"] += len(packet)
        head = 12 + 4 * (packet[0] & 15)
        seq = int.from_bytes(packet[2:4], "big")
        depacketizer = self.depacketizers.get(flow)
        if depacketizer is not None and len(packet) > head:
            depacketizer.feed(seq, packet[1] >> 7, packet[head:])
        if flow in self.sounds and len(packet) > head:
            self.sounds[flow].feed(packet[head:])

    def request_keyframe(self):
        for flow in self.depacketizers:
            ssrc = self.tracks[flow].get("ssrc", 0)
            pli = bytes([0x81, 206, 0, 2]) + (1).to_bytes(4, "big") + ssrc.to_bytes(4, "big")
            self._quic.send_datagram_frame(write_varint(flow) + pli)
            self.transmit()


def certificate_of(key):
    """A self-signed certificate; only its key counts."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "viewer")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )
    return builder.sign(key, hashes.SHA256())


def load_key(path):
    if path is None:
        return ec.generate_private_key(ec.SECP256R1())
    with open(path, "rb") as file:
        data = file.read()
    if data.lstrip().startswith(b"-----"):
        return serialization.load_pem_private_key(data, None)
    return serialization.load_der_private_key(data, None)


async def watch(args, session, out, sound):
    key = load_key(args.key)
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=["roq", "roq-14"],
        server_name=session["server_name"],
        max_datagram_frame_size=65536,
        max_data=16 * 1024 * 1024,
        max_stream_data=4 * 1024 * 1024,
    )
    configuration.certificate = certificate_of(key)
    configuration.private_key = key
    if args.ca:
        configuration.load_verify_locations(args.ca)
    else:
        configuration.verify_mode = ssl.CERT_NONE
    port = args.port or session["port"]
    started = time.monotonic()
    create = functools.partial(
        Viewer, session=session, out=out, sound=sound, started=started
    )
    async with connect(
        args.host, port, configuration=configuration, create_protocol=create
    ) as viewer:
        if args.pli:
            viewer.request_keyframe()
        try:
            await asyncio.wait_for(viewer.ended.wait(), args.seconds)
        except asyncio.TimeoutError:
            viewer.close(error_code=0)
        stats = dict(viewer.stats)
        stats["closed"] = viewer.closed
        for depacketizer in viewer.depacketizers.values():
            for name in ("frames", "keyframes", "units", "lost"):
                stats[name] = getattr(depacketizer, name)
        return stats


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--session", default="-", help="JSON file of the session, - is stdin")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="other than the session's")
    parser.add_argument("--key", help="P-256 private key, PEM or PKCS#8 DER; a new one if missing")
    parser.add_argument("--ca", help="pinned CA, PEM; nothing is verified without it")
    parser.add_argument("--out", default="/dev/null", help="Annex-B file")
    parser.add_argument("--sound", help="file of 16-bit mono samples at 8 kHz")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--pli", action="store_true", help="ask for a keyframe")
    args = parser.parse_args()
    if args.session == "-":
        session = json.load(sys.stdin)
    else:
        with open(args.session, encoding="utf-8") as file:
            session = json.load(file)
    with open(args.out, "wb") as out, open(args.sound or "/dev/null", "wb") as sound:
        try:
            stats = asyncio.run(watch(args, session, out, sound if args.sound else None))
        except ConnectionError as error:
            stats = {"error": str(error) or "the connection failed"}
    print(json.dumps(stats))
    return 1 if "error" in stats else 0


if __name__ == "__main__":
    sys.exit(main())
