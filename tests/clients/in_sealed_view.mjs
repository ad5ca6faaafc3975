// Runs inside the page: a camera that seals and a relay that misbehaves, against the page's viewer.

import { concat, u16, u64, utf8 } from '/assets/sealed/bytes.js';
import { CODECS, serialTag } from '/assets/sealed/frame.js';
import { FrameOpener } from '/assets/sealed/opener.js';
import { Playout } from '/assets/sealed/playout.js';
import { Screen } from '/assets/sealed/screen.js';
import { SUITES, importBaseKey } from '/assets/sealed/sframe.js';
import { startWorker } from '/assets/sealed/start_worker.js';
import { Viewer } from '/assets/sealed/viewer.js';

const SERIAL = 'CAM-1';
const GENERATION = 1_800_000_000;
const [WIDTH, HEIGHT, BITS] = [320, 64, 8];
const [KEYFRAME, SEALED] = [1, 8];
const FRAME_MS = 20;
const [VIDEO, SOUND, LOWER] = [0, 1, 2];
const TRACKS = [
  { track: VIDEO, codec: 'h264', clock_rate: 90000, channels: 0, fmtp: '' },
  { track: SOUND, codec: 'pcmu', clock_rate: 8000, channels: 1, fmtp: '' },
];
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const clock = () => performance.timeOrigin + performance.now();

/** An integer of QUIC in eight bytes. */
const integer = (value) => {
  const bytes = u64(value);
  bytes[0] |= 0xc0;
  return bytes;
};

/** Keyframes every `gop` pictures; each picture shows its number in black and white columns. */
async function pictures(count, gop) {
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext('2d');
  const units = [];
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const unit = new Uint8Array(chunk.byteLength);
      chunk.copyTo(unit);
      units.push({ key: chunk.type === 'key', unit });
    },
    error: (error) => { throw error; },
  });
  const wanted = { codec: 'avc1.42001f', avc: { format: 'annexb' } };
  const config = { width: WIDTH, height: HEIGHT, bitrate: 1_000_000, framerate: 50, latencyMode: 'realtime' };
  const h264 = (await VideoEncoder.isConfigSupported({ ...config, ...wanted })).supported;
  encoder.configure({ ...config, ...(h264 ? wanted : { codec: 'av01.0.04M.08' }) });
  for (let number = 0; number < count; number += 1) {
    for (let bit = 0; bit < BITS; bit += 1) {
      context.fillStyle = (number >> bit) & 1 ? 'white' : 'black';
      context.fillRect((bit * WIDTH) / BITS, 0, WIDTH / BITS, HEIGHT);
    }
    const frame = new VideoFrame(canvas, { timestamp: number * 1000 });
    encoder.encode(frame, { keyFrame: number % gop === 0 });
    frame.close();
    await encoder.flush();
  }
  encoder.close();
  return { codec: h264 ? 'h264' : 'av1', units };
}

function numberOn(canvas) {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let number = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    const [red] = context.getImageData(Math.floor(((bit + 0.5) * WIDTH) / BITS), HEIGHT / 2, 1, 1).data;
    if (red >= 128) number |= 1 << bit;
  }
  return number;
}

/** A camera's keys, written out on their own. */
class Camera {
  #counters = new Map();
  base = new Map();

  async keyOf(generation) {
    if (!this.base.has(generation)) {
      const bytes = new Uint8Array(32).fill(generation & 0xff);
      this.base.set(generation, { suite: SUITES.get(4), baseKey: await importBaseKey(bytes) });
    }
    return this.base.get(generation);
  }

  async seal({ codec, track, key, captured, unit, generation = GENERATION, sub = false }) {
    const { baseKey } = await this.keyOf(generation);
    const kid = (BigInt(generation) << 24n) | BigInt(track);
    const ctr = this.#counters.get(kid) ?? 2 ** 24;
    this.#counters.set(kid, ctr + 1);
    const hkdf = (label) => ({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: concat(utf8(label), u64(kid), u16(4)) });
    const aes = await crypto.subtle.deriveKey(hkdf('SFrame 1.0 Secret key '), baseKey, { name: 'AES-GCM', length: 128 }, false, ['encrypt']);
    const iv = new Uint8Array(await crypto.subtle.deriveBits(hkdf('SFrame 1.0 Secret salt '), baseKey, 96));
    u64(ctr).forEach((byte, at) => { iv[4 + at] ^= byte; });
    const codecId = CODECS.indexOf(codec);
    const head = Uint8Array.of(1, (key ? 1 : 0) | (sub ? 8 : 0), codecId, track);
    const descriptor = concat(head, u16(0), u64(Math.round(captured * 1000)), await serialTag(SERIAL));
    const header = concat(Uint8Array.of(0xeb), u64(kid).subarray(1), u64(ctr).subarray(4));
    const algorithm = { name: 'AES-GCM', iv, additionalData: concat(header, descriptor) };
    return concat(descriptor, header, new Uint8Array(await crypto.subtle.encrypt(algorithm, aes, unit)));
  }
}

/** A stream that a test writes to, as the relay would. */
function stream(track) {
  let controller;
  const readable = new ReadableStream({ start: (given) => { controller = given; } });
  controller.enqueue(Uint8Array.of(1, track));
  let sequence = 0;
  return {
    readable,
    item(payload, { key, sealed = true }) {
      const flags = (key ? KEYFRAME : 0) | (sealed ? SEALED : 0);
      const body = concat(Uint8Array.of(flags), integer((sequence += 1)), integer(0), payload);
      try {
        controller.enqueue(concat(integer(body.length), body));
      } catch {
        // The viewer has left this stream behind.
      }
    },
    end() {
      try {
        controller.close();
      } catch {
        // Left behind.
      }
    },
    reset: () => controller.error(new Error('reset')),
  };
}

/** A viewer with what it shows and tells. */
async function watching(camera, codec, held, answer = () => {}) {
  const events = [];
  const shown = [];
  const heard = [];
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const playout = new Playout();
  const screen = new Screen(canvas, playout, clock, () => shown.push(numberOn(canvas)));
  const keyring = {
    binding: { serial: SERIAL, epoch: 1n },
    holds: (one) => held.has(one),
    get: (one) => (held.has(one) ? camera.base.get(one) : undefined),
  };
  let came = () => {};
  const keys = {
    arrived: new Promise((resolve) => { came = resolve; }),
    missing: async (generation) => {
      events.push(`missing ${generation - GENERATION}`);
      await answer(generation, held);
      came();
      keys.arrived = new Promise((resolve) => { came = resolve; });
    },
  };
  const speaker = { put: (data, captured) => { heard.push([captured, data.numberOfFrames]); data.close(); } };
  const tell = ({ kind, reason, by }) => {
    if (kind === 'delayed' && !by) return;
    const event = kind === 'delayed' ? kind : `${kind} ${reason}`;
    if (events.at(-1) !== event) events.push(event);
  };
  const tracks = TRACKS.map((track) => (track.track === VIDEO ? { ...track, codec } : track));
  const parts = { opener: await FrameOpener.of(keyring, 0), keys, screen, speaker, playout, clock, tell };
  const viewer = new Viewer(tracks, parts);
  let streams;
  const incoming = new ReadableStream({ start: (given) => { streams = given; } });
  viewer.run(incoming);
  return { viewer, events, shown, heard, open: (readable) => streams.enqueue(readable) };
}

const GOP = 10;
/** What happens to the second of three groups of pictures. */
const MISHAPS = {
  none: () => 'send',
  reset: (at) => (at === 3 ? 'reset' : 'send'),
  tampered: (at) => (at === 3 ? 'flip' : 'send'),
  hung: (at) => (at >= 3 ? 'leave' : 'send'),
  clear: (at) => (at === 3 ? 'clear' : 'send'),
  replayed: (at) => (at === 3 ? 'repeat' : 'send'),
  lower: () => 'sub',
  mixed: (at) => (at === 3 ? 'sub' : 'send'),
  foreign: (at) => (at === 3 ? 'foreign' : 'send'),
  headless: (at) => (at === 0 ? 'drop' : 'send'),
};

/** Three groups of pictures with a mishap in the second one. */
async function watch({ mishap = 'none', generation = 0, answered = true, age = 0 }) {
  const { codec, units } = await pictures(3 * GOP, GOP);
  const camera = new Camera();
  await camera.keyOf(GENERATION);
  const arrive = async (number, held) => {
    await camera.keyOf(number);
    if (answered) held.add(number);
  };
  const seen = await watching(camera, codec, new Set([GENERATION]), arrive);
  const sent = [];
  for (let group = 0; group < 3; group += 1) {
    const one = stream(VIDEO);
    seen.open(one.readable);
    let open = true;
    for (let at = 0; at < GOP; at += 1) {
      const { key, unit } = units[group * GOP + at];
      // A camera does not go back, but another that has no key here must not hold up what follows.
      const under = GENERATION + (group === 1 || (group === 2 && answered) ? generation : 0);
      const act = group === 1 ? MISHAPS[mishap](at) : 'send';
      const source = act === 'sub' || act === 'foreign' ? { track: LOWER, sub: act === 'sub' } : { track: VIDEO };
      const sealed = await camera.seal({ codec, ...source, key, captured: clock() - age, unit, generation: under });
      sent.push(sealed);
      if (act === 'flip') sealed[40] ^= 1;
      if (act === 'reset') {
        one.reset();
        open = false;
      }
      if (!open) continue;
      if (act === 'clear') one.item(unit, { key, sealed: false });
      else if (act === 'repeat') one.item(sent[2], { key });
      else if (act !== 'leave' && act !== 'drop') one.item(sealed, { key });
      await pause(FRAME_MS);
    }
    if (open && !(group === 1 && mishap === 'hung')) one.end();
  }
  // Until the last picture is there, or could have been.
  for (let left = 400; left > 0 && seen.shown.at(-1) !== 3 * GOP - 1; left -= 1) await pause(FRAME_MS);
  seen.viewer.close();
  return { shown: seen.shown, events: seen.events, counts: seen.viewer.counts };
}

/** Sound that is sealed, tampered with once, and heard. */
async function listen() {
  const camera = new Camera();
  await camera.keyOf(GENERATION);
  const seen = await watching(camera, 'h264', new Set([GENERATION]));
  const one = stream(SOUND);
  seen.open(one.readable);
  const start = Math.floor(clock());
  for (let at = 0; at < 10; at += 1) {
    const unit = new Uint8Array(160).fill(0x7f);
    const sealed = await camera.seal({ codec: 'pcmu', track: SOUND, key: true, captured: start + at * 20, unit });
    if (at === 4) sealed[40] ^= 1;
    one.item(sealed, { key: true });
  }
  for (let left = 200; left > 0 && seen.heard.length < 9; left -= 1) await pause(FRAME_MS);
  seen.viewer.close();
  const heard = seen.heard.map(([captured, frames]) => [Math.round(captured - start), frames]);
  return { heard, events: seen.events };
}

/** Where the first sample of sound that is due after `due` milliseconds is played, milliseconds. */
async function speak({ due, skip = 0, rate = 48000 }) {
  const context = new OfflineAudioContext(1, 48000, 48000);
  await context.audioWorklet.addModule('/assets/sealed/speaker_worklet.js');
  const node = new AudioWorkletNode(context, 'sightline-speaker', { numberOfInputs: 0, outputChannelCount: [1] });
  node.connect(context.destination);
  const channel = new MessageChannel();
  node.port.postMessage({ zero: 1_000_000, source: channel.port1 }, [channel.port1]);
  const delay = 500;
  const samples = rate / 10;
  for (let at = 0; at < 5; at += 1) {
    // Every chunk is as loud as its number says.
    const plane = new Float32Array(samples).fill((at + 1) / 10);
    const captured = 1_000_000 - delay + due + at * 100;
    if (at >= skip) channel.port2.postMessage({ captured, rate, channels: [plane], delay });
  }
  await pause(300);
  const played = (await context.startRendering()).getChannelData(0);
  const at = (level) => {
    const first = played.findIndex((sample) => Math.abs(sample - level) < 0.01);
    return first < 0 ? null : (first / 48000) * 1000;
  };
  return [0.1, 0.2, 0.3, 0.4, 0.5].map(at);
}

/**
 * Sound that runs while the clocks move apart by `shift` milliseconds: how far off it is at the end of
 * each second, and its largest step from one sample to the next, both in milliseconds of capture.
 */
async function drift({ shift, seconds }) {
  const rate = 48000;
  const zero = 1_000_000;
  const context = new OfflineAudioContext(1, rate * seconds, rate);
  await context.audioWorklet.addModule('/assets/sealed/speaker_worklet.js');
  const node = new AudioWorkletNode(context, 'sightline-speaker', { numberOfInputs: 0, outputChannelCount: [1] });
  node.connect(context.destination);
  const channel = new MessageChannel();
  node.port.postMessage({ zero, source: channel.port1 }, [channel.port1]);
  const put = (second) => {
    // Every sample is as loud as its capture time in seconds.
    const plane = Float32Array.from({ length: rate }, (_, at) => second + at / rate);
    channel.port2.postMessage({ captured: zero + second * 1000, rate, channels: [plane], delay: 0 });
  };
  put(0);
  put(1);
  for (let second = 1; second < seconds; second += 1) {
    context.suspend(second).then(async () => {
      if (second === 1) node.port.postMessage({ zero: zero + shift });
      put(second + 1);
      await pause(50);
      context.resume();
    });
  }
  await pause(300);
  const played = (await context.startRendering()).getChannelData(0);
  const off = Array.from({ length: seconds }, (_, second) => {
    const at = (second + 1) * rate - 1;
    return played[at] * 1000 - (at / rate) * 1000 - (second > 0 ? shift : 0);
  });
  let step = 0;
  for (let at = rate; at < played.length; at += 1) step = Math.max(step, Math.abs(played[at] - played[at - 1]) * 1000);
  return { off, step };
}

/** Whether the page's policy lets the worker start, and nothing else. */
async function worker() {
  const first = await new Promise((resolve, reject) => {
    const made = startWorker();
    made.onmessage = ({ data }) => {
      made.terminate();
      resolve(data);
    };
    made.onerror = (event) => reject(new Error(event.message));
  });
  const refused = (act) => {
    try {
      act();
      return false;
    } catch (error) {
      return error instanceof TypeError;
    }
  };
  const second = () => trustedTypes.createPolicy('sightline-worker', { createScriptURL: (url) => url });
  return { first, other: refused(() => new Worker('/assets/app.js')), policy: refused(second) };
}

/** Delays of a clock that steps, after each arrival [captured, now]. */
function delays({ arrivals }) {
  const playout = new Playout();
  return arrivals.map(([captured, now]) => {
    playout.observe(captured, now);
    return playout.delay;
  });
}

export const VIEW_OPERATIONS = { watch, listen, speak, drift, worker, delays };
