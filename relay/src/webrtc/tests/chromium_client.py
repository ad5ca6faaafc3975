"""Chromium watches what aiortc or, given a codec's name, Chromium itself publishes.

Offers go to stdout, answers come on stdin.
"""

import asyncio
import http.server
import json
import subprocess
import sys
import tempfile
import threading

from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

PAGE = """<!doctype html><video id=v autoplay muted playsinline></video><script>
const post = (path, body) => fetch(path, {method: 'POST', body}).then(r => r.text());
const publish = async codec => {
  const camera = await navigator.mediaDevices.getUserMedia({video: true, audio: true});
  const pc = new RTCPeerConnection();
  const wanted = RTCRtpSender.getCapabilities('video').codecs
    .filter(c => c.mimeType === 'video/' + codec || c.mimeType === 'video/rtx');
  for (const track of camera.getTracks()) {
    const transceiver = pc.addTransceiver(track, {direction: 'sendonly', streams: [camera]});
    if (track.kind === 'video') transceiver.setCodecPreferences(wanted);
  }
  await pc.setLocalDescription(await pc.createOffer());
  const sdp = await post('/whip', pc.localDescription.sdp);
  await pc.setRemoteDescription({type: 'answer', sdp});
  while (pc.connectionState !== 'connected') await new Promise(r => setTimeout(r, 50));
  await new Promise(r => setTimeout(r, 2000));
};
(async () => {
  if (location.hash) await publish(location.hash.slice(1));
  const pc = new RTCPeerConnection();
  pc.addTransceiver('video', {direction: 'recvonly'});
  pc.addTransceiver('audio', {direction: 'recvonly'});
  pc.ontrack = e => { document.getElementById('v').srcObject = e.streams[0]; };
  await pc.setLocalDescription(await pc.createOffer());
  const sdp = await post('/offer', pc.localDescription.sdp);
  await pc.setRemoteDescription({type: 'answer', sdp});
  for (let i = 0; i < 300; i++) {
    await new Promise(r => setTimeout(r, 100));
    const facts = {state: pc.connectionState, frames: 0, audio: 0};
    for (const s of (await pc.getStats()).values()) {
      if (s.type === 'inbound-rtp' && s.kind === 'video') {
        facts.frames = s.framesDecoded; facts.nacks = s.nackCount; facts.lost = s.packetsLost;
      }
      if (s.type === 'inbound-rtp' && s.kind === 'audio') facts.audio = s.packetsReceived;
      if (s.type === 'transport') { facts.srtp = s.srtpCipher; facts.tls = s.tlsVersion; }
    }
    await post('/facts', JSON.stringify(facts));
  }
})().catch(e => post('/facts', JSON.stringify({state: 'error', text: String(e)})));
</script>"""


def tell(word, text=""):
    print(word, text.replace("\r\n", "\\r\\n"), flush=True)


def hear():
    return sys.stdin.readline().strip().replace("\\r\\n", "\r\n")


class Handler(http.server.BaseHTTPRequestHandler):
    done = threading.Event()
    enough = False

    def log_message(self, *_):
        pass

    def reply(self, body, kind="text/plain"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        self.reply(PAGE, "text/html")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path in ("/whip", "/offer"):
            tell("whep" if self.path == "/offer" else "whip", body)
            return self.reply(hear())
        facts = json.loads(body)
        print(body, file=sys.stderr, flush=True)
        if facts["state"] == "error":
            tell("error", facts["text"])
        if not Handler.enough and facts.get("frames", 0) >= 60 and facts.get("audio", 0) > 20:
            Handler.enough = True
            tell("frames", str(facts["frames"]))
        if Handler.enough and facts["state"] in ("closed", "failed", "disconnected"):
            tell("closed", "viewer")
            Handler.done.set()
        return self.reply("ok")


async def publish():
    pc = RTCPeerConnection()
    video = pc.addTransceiver(VideoStreamTrack(), "sendonly")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    video.setCodecPreferences([c for c in codecs if c.mimeType != "video/VP8"])
    pc.addTransceiver(AudioStreamTrack(), "sendonly")
    await pc.setLocalDescription(await pc.createOffer())
    tell("whip", pc.localDescription.sdp)
    answer = await asyncio.get_running_loop().run_in_executor(None, hear)
    await pc.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    while pc.connectionState != "connected":
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    return pc


async def main(codec):
    pc = None if codec else await publish()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream",
         "--use-fake-ui-for-media-stream", "--user-data-dir=" + tempfile.mkdtemp(),
         f"http://127.0.0.1:{server.server_port}/#{codec}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await asyncio.get_running_loop().run_in_executor(None, Handler.done.wait, 45)
    browser.terminate()
    if pc:
        await pc.close()


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
