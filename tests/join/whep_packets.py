"""Watches by WHEP with aiortc and hands over what arrives, before any jitter buffer or decoder.

Reads one JSON object from standard input: {"url", "grant", "proof" (DPoP), "seconds"}. Writes records to standard output: kind (1 byte), Unix time in nanoseconds
(8), length (4), body. Kinds: 0 the answer with its SDP, 1 a packet of video, 2 of audio, 3 a
compound of RTCP.
"""

import asyncio
import json
import struct
import sys
import time
from pathlib import Path

from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCDtlsTransport

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))

import http_client

OUT = sys.stdout.buffer


def hand_over(kind, body, at=None):
    OUT.write(struct.pack(">BQI", kind, at or time.time_ns(), len(body)) + body)


def listen_in(kinds):
    """Takes every packet as it leaves SRTP; `kinds` names those that count."""
    of_rtp = RTCDtlsTransport._handle_rtp_data
    of_rtcp = RTCDtlsTransport._handle_rtcp_data

    async def rtp(self, data, arrival_time_ms):
        at = time.time_ns()
        kind = kinds.get(data[1] & 0x7F)
        if kind:
            hand_over(kind, data, at)
        await of_rtp(self, data, arrival_time_ms)

    async def rtcp(self, data):
        hand_over(3, data)
        await of_rtcp(self, data)

    RTCDtlsTransport._handle_rtp_data = rtp
    RTCDtlsTransport._handle_rtcp_data = rtcp


def payload_kinds(sdp):
    """Payload types of media (not of retransmissions) by kind: 1 video, 2 audio."""
    kinds = {}
    for section in sdp.split("\r\nm=")[1:]:
        kind = 1 if section.startswith("video") else 2
        for line in section.split("\r\n"):
            if line.startswith("a=rtpmap:") and "rtx/" not in line:
                kinds[int(line[len("a=rtpmap:") :].split(" ")[0])] = kind
    return kinds


async def main(request):
    kinds = {}
    listen_in(kinds)
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction="recvonly").setCodecPreferences(
        [c for c in RTCRtpReceiver.getCapabilities("video").codecs if c.mimeType != "video/VP8"]
    )
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {request['grant']}", "DPoP": request["proof"]}
    answer, session = await http_client.offer(request["url"], peer.localDescription.sdp, headers)
    hand_over(0, answer.encode())
    kinds.update(payload_kinds(answer))
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.sleep(request["seconds"])
    await http_client.send("DELETE", session)
    await peer.close()
    OUT.flush()


asyncio.run(main(json.load(sys.stdin)))
