"""A WHIP and WHEP endpoint on aiortc, to try the two clients on each other without the server.

Usage: loopback.py PORT. POST .../whip... with one publisher, then POST .../whep.... It decodes and encodes
again, so it proves the clients and nothing about forwarding.
"""

import asyncio
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

relay = MediaRelay()
published = {}
peers = []


async def answer(path, sdp):
    peer = RTCPeerConnection()
    peers.append(peer)
    if "/whip" in path:

        @peer.on("track")
        def track(track):
            published[track.kind] = track

    await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    if "/whep" in path:
        for transceiver in peer.getTransceivers():
            if transceiver.kind in published:
                peer.addTrack(relay.subscribe(published[transceiver.kind]))
    await peer.setLocalDescription(await peer.createAnswer())
    return peer.localDescription.sdp


async def serve(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, path = head.split(" ")[:2]
    lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
    body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
    status, text, kind = "200 OK", "", "text/html"
    if method == "POST":
        status, text, kind = "201 Created", await answer(path, body.decode()), "application/sdp"
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nLocation: /session\r\n"
        f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()
    )
    await writer.drain()
    writer.close()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
