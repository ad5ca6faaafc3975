// Functions that run inside the page; each is self-contained, since it is sent as text.

/** A whole WHEP session by hand: offer, answer, frames, sound, end. */
export async function watchInPage({ path, grant, proof, seconds }) {
  const CELL = 16;
  const BITS = 128;

  function crc16(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let i = 0; i < 8; i += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc;
  }

  function readStrip(luma, width, height, stride) {
    const columns = Math.floor(width / CELL);
    if (columns === 0 || Math.ceil(BITS / columns) * CELL > height) return null;
    const bytes = new Uint8Array(16);
    for (let bit = 0; bit < BITS; bit += 1) {
      const x = (bit % columns) * CELL + 4;
      const y = Math.floor(bit / columns) * CELL + 4;
      let sum = 0;
      for (let row = 0; row < 8; row += 1) {
        for (let column = 0; column < 8; column += 1) sum += luma[(y + row) * stride + x + column];
      }
      bytes[bit >> 3] = (bytes[bit >> 3] << 1) | (sum >= 128 * 64 ? 1 : 0);
    }
    const view = new DataView(bytes.buffer);
    if (bytes[0] !== 0xb2 || view.getUint16(14) !== crc16(bytes.subarray(0, 14))) return null;
    const clock = view.getUint8(9) * 2 ** 32 + view.getUint32(10);
    return { n: view.getUint32(5), clock, serial_crc: view.getUint32(1) };
  }

  async function pictures(track) {
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 30 }).readable.getReader();
    for (;;) {
      const { done, value: frame } = await reader.read();
      if (done) return;
      const buffer = new Uint8Array(frame.allocationSize());
      const [{ offset, stride }] = await frame.copyTo(buffer);
      const { width, height } = frame.visibleRect;
      const seen = readStrip(buffer.subarray(offset), width, height, stride);
      frame.close();
      window.show(seen ? { ...seen, t: Date.now() } : { bad: 1 });
    }
  }

  /** Pitch by upward zero crossings, and level. */
  function listen(stream, sound) {
    // Remote sound reaches Web Audio only while an element plays it too.
    const element = new Audio();
    element.srcObject = stream;
    element.muted = true;
    element.play();
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 8192 });
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    return setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      let crossings = 0;
      let energy = 0;
      for (let i = 1; i < samples.length; i += 1) {
        if (samples[i - 1] < 0 && samples[i] >= 0) crossings += 1;
        energy += samples[i] ** 2;
      }
      const rms = Math.sqrt(energy / samples.length);
      if (rms < 0.01) return;
      sound.audio_samples += samples.length;
      sound.hertz = (crossings * context.sampleRate) / samples.length;
      sound.rms = rms;
    }, 250);
  }

  const peer = new RTCPeerConnection();
  const sound = { audio_samples: 0, hertz: 0, rms: 0 };
  let timer;
  peer.ontrack = ({ track }) => {
    if (track.kind === 'video') pictures(track);
    else timer = listen(new MediaStream([track]), sound);
  };
  peer.onconnectionstatechange = () => window.show({ state: peer.connectionState });
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  await peer.setLocalDescription();
  if (peer.iceGatheringState !== 'complete') {
    await new Promise((resolve) => {
      peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve();
    });
  }
  const headers = { 'Content-Type': 'application/sdp', Authorization: `Bearer ${grant}` };
  if (proof) headers.DPoP = proof;
  const body = peer.localDescription.sdp;
  const response = await fetch(path, { method: 'POST', headers, body });
  const sdp = await response.text();
  if (response.status !== 201) throw new Error(`POST answered ${response.status}: ${sdp}`);
  await window.show({ left_out: response.headers.get('Sightline-Left-Out') });
  await peer.setRemoteDescription({ type: 'answer', sdp });
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  clearInterval(timer);
  await window.show(sound);
  const wanted = ['framesDecoded', 'framesReceived', 'keyFramesDecoded', 'packetsLost', 'nackCount', 'pliCount', 'freezeCount'];
  for (const report of (await peer.getStats()).values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'video') {
      await window.show({ stats: Object.fromEntries(wanted.map((name) => [name, report[name]])) });
    }
  }
  await fetch(new URL(response.headers.get('Location'), response.url), { method: 'DELETE' });
  peer.close();
}
