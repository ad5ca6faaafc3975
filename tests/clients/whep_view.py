"""Watches by WHEP with aiortc and reads the painted strip of every decoded picture.

Reads one JSON object from standard input: {"url", "grant", "key" (PKCS #8 of the terminal key,
base64, optional), "seconds"}. Prints a JSON line per picture {"n", "clock", "serial_crc", "t"} and
at the end one for the sound {"audio_samples", "hertz", "rms"}; pictures without a strip count as
{"bad": 1}. Errors are printed as {"error"} with exit status 1.
"""

import asyncio
import base64
import json
import sys
import time

import numpy
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

import http_client
import strip


def show(**fields):
    print(json.dumps(fields), flush=True)


async def pictures(track):
    try:
        while True:
            frame = await track.recv()
            luma = frame.to_ndarray(format="gray8") if frame.format.name == "gray" else None
            if luma is None:
                plane = frame.planes[0]
                rows = numpy.frombuffer(plane, numpy.uint8).reshape(-1, plane.line_size)
                luma = rows[: frame.height, : frame.width]
            seen = strip.read(luma)
            if seen:
                show(**seen, t=int(time.time() * 1000))
            else:
                show(bad=1)
    except MediaStreamError:
        pass


class Sound:
    """Pitch by upward zero crossings, and level, of everything heard."""

    def __init__(self):
        self.samples = 0
        self.crossings = 0
        self.energy = 0.0
        self.rate = 48000
        self.last = 0

    async def listen(self, track):
        try:
            while True:
                frame = await track.recv()
                left = frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)]
                self.rate = frame.sample_rate
                self.samples += len(left)
                # The last sample of the frame before: a crossing may fall between two frames.
                run = numpy.concatenate(([self.last], left))
                self.last = left[-1]
                self.crossings += int(numpy.count_nonzero((run[:-1] < 0) & (run[1:] >= 0)))
                self.energy += float(numpy.square(left / 32768.0).sum())
        except MediaStreamError:
            pass

    def report(self):
        if self.samples:
            hertz = self.crossings * self.rate / self.samples
            rms = (self.energy / self.samples) ** 0.5
            show(audio_samples=self.samples, hertz=round(hertz, 1), rms=round(rms, 4))


async def main(request):
    peer = RTCPeerConnection()
    sound = Sound()
    tasks = []

    @peer.on("track")
    def track(track):
        reader = pictures if track.kind == "video" else sound.listen
        tasks.append(asyncio.ensure_future(reader(track)))

    @peer.on("connectionstatechange")
    def state():
        show(state=peer.connectionState)

    peer.addTransceiver("video", direction="recvonly")
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {request['grant']}"}
    if request.get("key"):
        key = http_client.TerminalKey(base64.b64decode(request["key"]))
        headers["DPoP"] = key.proof("POST", request["url"], request["grant"])
    answered = {}
    answer, session = await http_client.offer(
        request["url"], peer.localDescription.sdp, headers, answered
    )
    show(session=session, left_out=answered.get("sightline-left-out"))
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.sleep(request["seconds"])
    sound.report()
    await http_client.send("DELETE", session)
    await peer.close()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main(json.load(sys.stdin)))
    except (RuntimeError, OSError) as error:
        show(error=str(error))
        sys.exit(1)
