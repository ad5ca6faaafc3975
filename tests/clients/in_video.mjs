// Functions that run inside the page, on what it shows: a video element, or a sealed camera's canvas.

/**
 * Installed before the page's own scripts. `window.eye` finds the picture and reads its painted
 * strip; what any sound of the page ends in is kept as `window.ear`.
 */
export function prepare() {
  const [CELL, BITS, MAGIC] = [16, 128, 0xb2];

  /** The bits of a strip, whose first byte, number, clock and checksum must hold. */
  function strip({ data, width }) {
    const columns = Math.floor(width / CELL);
    const bytes = new Uint8Array(BITS / 8);
    for (let bit = 0; bit < BITS; bit += 1) {
      const x = (bit % columns) * CELL + CELL / 2;
      const y = Math.floor(bit / columns) * CELL + CELL / 2;
      const white = data[(y * width + x) * 4 + 1] >= 128;
      bytes[bit >> 3] = (bytes[bit >> 3] << 1) | white;
    }
    let crc = 0xffff;
    for (const byte of bytes.subarray(0, 14)) {
      crc ^= byte << 8;
      for (let i = 0; i < 8; i += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    const view = new DataView(bytes.buffer);
    if (bytes[0] !== MAGIC || view.getUint16(14) !== crc) return null;
    const clock = view.getUint8(9) * 2 ** 32 + view.getUint32(10);
    return { n: view.getUint32(5), clock, serial_crc: view.getUint32(1) };
  }

  let pad = null;
  const eye = {
    /** The element that shows the picture now. */
    element: () => document.querySelector('canvas[data-testid="canvas"]') ?? document.querySelector('video'),
    /** Resolves when the element may show another picture than before. */
    next: (element) => new Promise((resolve) => {
      if (element?.requestVideoFrameCallback) element.requestVideoFrameCallback(resolve);
      else requestAnimationFrame(resolve);
    }),
    /** What is painted on the picture that is shown; null when there is no whole strip. */
    read: (element) => {
      const width = element?.videoWidth ?? element?.width ?? 0;
      if (width < CELL) return null;
      const rows = Math.ceil(BITS / Math.floor(width / CELL)) * CELL;
      if (pad?.width !== width || pad.height !== rows) pad = new OffscreenCanvas(width, rows);
      const context = pad.getContext('2d', { willReadFrequently: true });
      context.clearRect(0, 0, width, rows);
      context.drawImage(element, 0, 0);
      return strip(context.getImageData(0, 0, width, rows));
    },
    /** Milliseconds since 1970, finer than Date.now(). */
    clock: () => performance.timeOrigin + performance.now(),
  };
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function heard(to, ...more) {
    if (to instanceof AudioDestinationNode) window.ear = this;
    return connect.call(this, to, ...more);
  };
  window.eye = eye;
}

/** Reads the painted strip of the pictures that are shown, for some seconds; a line per picture. */
export async function readVideo(seconds) {
  const { eye } = window;
  const end = performance.now() + seconds * 1000;
  let last = null;
  while (performance.now() < end) {
    const element = eye.element();
    await eye.next(element);
    const found = eye.read(element);
    // A canvas is looked at more often than it changes.
    if (element.localName === 'canvas' && (found?.n ?? -1) === last) continue;
    last = found?.n ?? -1;
    window.show(found ? { ...found, t: Date.now() } : { bad: 1 });
  }
}

/** Listens for some seconds to what the page plays: pitch and level, and whether it is muted. */
export async function listen(seconds) {
  const { ear, eye } = window;
  const video = document.querySelector('video');
  const ofVideo = eye.element() === video;
  const context = ofVideo ? new AudioContext() : ear.context;
  if (ofVideo) await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  (ofVideo ? context.createMediaStreamSource(video.srcObject) : ear).connect(analyser);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const paused = ofVideo ? video.paused : context.state !== 'running';
  const muted = ofVideo ? video.muted : document.querySelector('[data-testid="sound"]').dataset.muted !== 'false';
  if (ofVideo) await context.close();
  else ear.disconnect(analyser);
  let rising = 0;
  let energy = 0;
  for (let i = 0; i < samples.length; i += 1) {
    energy += samples[i] * samples[i];
    if (i && samples[i - 1] < 0 && samples[i] >= 0) rising += 1;
  }
  const hertz = (rising * context.sampleRate) / samples.length;
  const rms = Math.sqrt(energy / samples.length);
  return { audio_samples: samples.length, hertz, rms, muted, paused };
}

/** Resolves when the picture has ended: time of the last one and of the page's word about it. */
export async function watchForTheEnd() {
  const { eye } = window;
  const element = eye.element();
  let last = Date.now();
  let number = null;
  let looking = true;
  (async () => {
    while (looking) {
      await eye.next(element);
      const found = element.localName === 'canvas' ? (eye.read(element)?.n ?? number) : null;
      if (found === null || found !== number) last = Date.now();
      number = found;
    }
  })();
  const state = document.querySelector('[data-testid="live-state"]');
  const end = Date.now() + 15_000;
  let told = null;
  while (Date.now() < end && told === null) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (!state.isConnected || state.dataset.state === 'failed') told = Date.now();
  }
  looking = false;
  return { last_frame: last, told };
}
