"""Publishes a moving picture and watches it again. Offers go to stdout, answers come on stdin."""

import asyncio
import sys

import aiortc.rtcdtlstransport as dtls
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import VideoStreamTrack

SETUP, PROFILE = sys.argv[1], sys.argv[2]
FRAMES = 60


def tell(word, text=""):
    print(word, text.replace("\r\n", "\\r\\n"), flush=True)


async def hear():
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return line.strip().replace("\\r\\n", "\r\n")


def prefer_h264(transceiver, side):
    codecs = [c for c in side.getCapabilities("video").codecs if c.mimeType != "video/VP8"]
    transceiver.setCodecPreferences(codecs)


async def connect(pc, word, setup):
    await pc.setLocalDescription(await pc.createOffer())
    tell(word, pc.localDescription.sdp.replace("a=setup:actpass", "a=setup:" + setup))
    answer = await hear()
    connected = asyncio.Event()

    @pc.on("connectionstatechange")
    def changed():
        if pc.connectionState == "connected":
            connected.set()

    await pc.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    await asyncio.wait_for(connected.wait(), 15)


async def main():
    whole = list(dtls.SRTP_PROFILES)
    if PROFILE == "sha1":
        dtls.SRTP_PROFILES[:] = [dtls.SRTP_AES128_CM_SHA1_80]
    publisher = RTCPeerConnection()
    prefer_h264(publisher.addTransceiver(VideoStreamTrack(), "sendonly"), RTCRtpSender)
    await connect(publisher, "whip", SETUP)
    dtls.SRTP_PROFILES[:] = whole
    await asyncio.sleep(1)
    viewer = RTCPeerConnection()
    transceiver = viewer.addTransceiver("video", "recvonly")
    prefer_h264(transceiver, RTCRtpReceiver)
    await connect(viewer, "whep", "actpass")
    frames = 0
    while frames < FRAMES:
        await asyncio.wait_for(transceiver.receiver.track.recv(), 10)
        frames += 1
    tell("frames", str(frames))
    while viewer.connectionState not in ("closed", "failed"):
        await asyncio.sleep(0.1)
    tell("closed", "viewer")
    await publisher.close()


asyncio.run(main())
