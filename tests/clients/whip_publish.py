"""Publishes a test card by WHIP with aiortc.

Usage: testcard --format mkv | whip_publish.py URL TOKEN
Sends the H.264 and Opus packets of the Matroska stream on standard input as they are. Prints one
JSON line when the peers are connected, and ends with the input.
"""

import asyncio
import json
import sys

import av
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer

import http_client


class AnnexB(MediaStreamTrack):
    """H.264 as Matroska has it (length prefixes) turned into the start codes that aiortc packs."""

    kind = "video"

    def __init__(self, source):
        super().__init__()
        self.source = source

    async def recv(self):
        packet = await self.source.recv()
        data, out, at = bytes(packet), bytearray(), 0
        while at + 4 <= len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            out += b"\0\0\0\1" + data[at + 4 : end]
            at = end
        copy = av.Packet(bytes(out))
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        return copy


def only(kind, matches):
    """Codecs of a kind that are to be offered."""
    codecs = RTCRtpSender.getCapabilities(kind).codecs
    return [codec for codec in codecs if matches(codec)]


def constrained_baseline(codec):
    parameters = codec.parameters or {}
    return (
        codec.mimeType == "video/H264"
        and parameters.get("packetization-mode") == "1"
        and parameters.get("profile-level-id", "").lower().startswith("42e0")
    )


async def main(url, token):
    options = {"probesize": "200000", "analyzeduration": "500000", "fflags": "nobuffer"}
    player = await asyncio.to_thread(
        MediaPlayer, "pipe:0", format="matroska", options=options, decode=False
    )
    peer = RTCPeerConnection()
    ended = asyncio.Event()

    @peer.on("connectionstatechange")
    def state():
        print(json.dumps({"state": peer.connectionState}), flush=True)
        if peer.connectionState in ("failed", "closed"):
            ended.set()

    video = peer.addTransceiver(AnnexB(player.video), direction="sendonly")
    video.setCodecPreferences(only("video", constrained_baseline))
    if player.audio:
        audio = peer.addTransceiver(player.audio, direction="sendonly")
        audio.setCodecPreferences(only("audio", lambda codec: codec.mimeType == "audio/opus"))
    player.video.on("ended", ended.set)

    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {token}"}
    answer, session = await http_client.offer(url, peer.localDescription.sdp, headers)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    try:
        await ended.wait()
    finally:
        await http_client.send("DELETE", session)
        await peer.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
