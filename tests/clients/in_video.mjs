// Functions that run inside the page, on the page's own video element.

/** Reads the painted strip of the frames that are shown, for some seconds; a line per frame. */
export async function readVideo(seconds) {
  const video = document.querySelector('video');
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const columns = Math.floor(canvas.width / 16);
  const rows = Math.ceil(128 / columns) * 16;
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, rows);
    const bytes = new Uint8Array(16);
    for (let bit = 0; bit < 128; bit += 1) {
      const x = (bit % columns) * 16 + 8;
      const y = Math.floor(bit / columns) * 16 + 8;
      const white = data[(y * canvas.width + x) * 4 + 1] >= 128;
      bytes[bit >> 3] = (bytes[bit >> 3] << 1) | white;
    }
    let crc = 0xffff;
    for (const byte of bytes.subarray(0, 14)) {
      crc ^= byte << 8;
      for (let i = 0; i < 8; i += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    const view = new DataView(bytes.buffer);
    const good = bytes[0] === 0xb2 && view.getUint16(14) === crc;
    const clock = view.getUint8(9) * 2 ** 32 + view.getUint32(10);
    window.show(good
      ? { n: view.getUint32(5), clock, serial_crc: view.getUint32(1), t: Date.now() }
      : { bad: 1 });
  }
}

/** Listens for some seconds to what the element plays: pitch and level, and whether it is muted. */
export async function listen(seconds) {
  const video = document.querySelector('video');
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  context.createMediaStreamSource(video.srcObject).connect(analyser);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  await context.close();
  let rising = 0;
  let energy = 0;
  for (let i = 0; i < samples.length; i += 1) {
    energy += samples[i] * samples[i];
    if (i && samples[i - 1] < 0 && samples[i] >= 0) rising += 1;
  }
  const hertz = (rising * context.sampleRate) / samples.length;
  const rms = Math.sqrt(energy / samples.length);
  return { audio_samples: samples.length, hertz, rms, muted: video.muted, paused: video.paused };
}

/** Resolves when the picture has ended: time of the last frame and of the page's word about it. */
export async function watchForTheEnd() {
  const video = document.querySelector('video');
  let last = Date.now();
  const frame = () => {
    last = Date.now();
    video.requestVideoFrameCallback(frame);
  };
  video.requestVideoFrameCallback(frame);
  const state = document.querySelector('[data-testid="live-state"]');
  const end = Date.now() + 15_000;
  let told = null;
  while (Date.now() < end && told === null) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (!state.isConnected || state.dataset.state === 'failed') told = Date.now();
  }
  return { last_frame: last, told };
}
