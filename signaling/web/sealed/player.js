// The page's end of a sealed live view: admission, keys from the mailbox, a worker for the rest.

import { Problem, call, send } from '../api.js';
import { fromBase64url } from '../dpop.js';
import { archiveKey, cameraCheck } from '../keys.js';
import { isCheckOf } from '../shown_secret.js';
import { equal } from './bytes.js';
import { isFor } from './generation.js';
import { MAX_HELD_LIVE } from './keyring.js';
import { generations } from './mailbox.js';
import { Sound } from './sound.js';
import { startWorker } from './start_worker.js';
import { pin, pinned, sealedTerminal } from './terminal.js';

/** The worker gets this long to close its connection, milliseconds. */
const GOODBYE_MS = 200;

/** Where the relay listens. `localhost` may be two addresses, and the relay's port is on one. */
function relayAddress(path, port) {
  const url = new URL(path, location.href);
  url.protocol = 'https:';
  url.port = port;
  if (url.hostname === 'localhost') url.hostname = '127.0.0.1';
  return url.href;
}

/** A WebSocket of the page's own origin. */
function socketAddress(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** WebTransport did not come through before, and a WebSocket did. */
let socketsFirst = !('WebTransport' in globalThis);

/**
 * What this terminal remembers of a device under its present binding, or null. Throws when the
 * server's words have changed.
 */
export async function remembered({ serial, binding_epoch, identity }) {
  const epoch = BigInt(binding_epoch);
  const known = await pinned(serial);
  if (known && known.epoch > epoch) throw new Problem('sealed-other-binding');
  if (identity) {
    const camera = fromBase64url(identity);
    const check = await cameraCheck(serial);
    if (check && !(await isCheckOf(check, camera))) throw new Problem('sealed-camera-changed');
    if (known?.epoch === epoch && !equal(known.camera, camera)) throw new Problem('sealed-camera-changed');
  }
  return known?.epoch === epoch ? known : null;
}

/** The same, from the server's words at first and from this terminal's memory from then on. */
export async function trusted(device) {
  const known = await remembered(device);
  if (!device.identity) throw new Problem('sealed-no-identity');
  if (known) return known;
  const facts = { epoch: BigInt(device.binding_epoch), camera: fromBase64url(device.identity), newest: 0 };
  await pin(device.serial, facts);
  return facts;
}

/**
 * Events: `picture` at the first one, `lost` when the connection is gone, `ended` when the server
 * said goodbye, `refused` and `delayed` with the worker's words as `detail`.
 */
export class SealedPlayer extends EventTarget {
  #worker = null;
  #sound = null;
  #figures = null;
  #device = null;
  #stopped = false;
  #recipients = [];
  #tracks = [];
  #unreachable = false;
  /** Tracks that the server left out: none, everything sealed is passed on. */
  leftOut = '';

  /**
   * Connects with a grant. `device` is an item of the list of devices, `canvas` a new one,
   * `server` the facts of the server. Resolves when the worker has begun.
   */
  async start({ device, channel, grant, canvas, server, muted }) {
    const { serial } = device;
    const { epoch, camera, newest } = await trusted(device);
    this.#device = { serial, channel };
    this.#recipients = await recipients(serial);
    const blobs = await this.#blobs();
    if (this.#stopped) return;
    const session = await this.#admitted(socketsFirst ? 'websocket' : 'webtransport', grant);
    const url = session.port ? relayAddress(session.path, session.port) : socketAddress(session.path);
    this.#tracks = session.tracks;
    if (this.#stopped) return;
    this.#sound = new Sound(muted);
    const sound = await this.#sound.port().catch(() => null);
    if (this.#stopped) return;
    const screen = canvas.transferControlToOffscreen();
    const start = {
      kind: 'start', url, hashes: server.webtransport_hashes,
      tracks: session.tracks, binding: { serial, epoch }, camera, newest, channel, blobs,
      recipients: this.#recipients, canvas: screen, sound,
    };
    this.#worker = startWorker();
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = () => this.#say('lost');
    this.#worker.postMessage(start, [screen, ...(sound ? [sound] : [])]);
  }

  /** A reading as stats.js takes it, or null. */
  async reading() {
    return this.#figures;
  }

  /** Turns the sound off or on. */
  mute(muted) {
    return this.#sound?.mute(muted);
  }

  /** Ends the session, here and at the relay. */
  stop() {
    this.#stopped = true;
    this.#worker?.postMessage({ kind: 'stop' });
    const worker = this.#worker;
    this.#worker = null;
    // It closes its connection first, so that the relay need not wait.
    if (worker) setTimeout(() => worker.terminate(), GOODBYE_MS);
    this.#sound?.stop();
    this.#sound = null;
  }

  async #admitted(door, grant) {
    const { serial, channel } = this.#device;
    const path = `/v1/${door}-sessions/${encodeURIComponent(serial)}/${channel}`;
    const session = await (await send('POST', path, { token: grant, scheme: 'Bearer' })).json();
    // A sealed device never falls back to open.
    if (!session.sealed) throw new Problem('sealed-clear-media');
    return session;
  }

  /** Another session, by WebSocket: the worker cannot reach the relay. */
  async #instead() {
    this.#unreachable = true;
    try {
      const { grant } = await call('POST', '/v1/media-grants', { ...this.#device, action: 'live' });
      const { path, tracks } = await this.#admitted('websocket', grant);
      // The worker's viewer is made for the tracks of the first session.
      if (JSON.stringify(tracks) !== JSON.stringify(this.#tracks)) throw new Problem('not-live');
      this.#worker?.postMessage({ kind: 'socket', url: socketAddress(path) });
    } catch {
      // The next try goes through the gate and says what is missing.
      this.#worker?.postMessage({ kind: 'socket', url: null });
    }
  }

  async #blobs() {
    const { opening, others } = await this.#ask({ limit: MAX_HELD_LIVE });
    // Neither this terminal nor, as far as it is known here, the device secret opens anything.
    if (!opening.length && this.#recipients.length === 1) throw new Problem('device-key-required');
    return opening.length ? opening.reverse() : others;
  }

  async #missing(generation) {
    const asked = { after: generation - 1, limit: 1 };
    const { opening, others } = await this.#ask(asked).catch(() => ({ opening: [], others: [] }));
    const blobs = opening.length ? opening : others;
    this.#worker?.postMessage({ kind: 'blobs', blobs, asked: generation });
  }

  /**
   * What the server has for the first of the recipients that anything is wrapped for (`opening`), and
   * what is for others: whoever opens says so.
   */
  async #ask(wanted) {
    const { serial, channel } = this.#device;
    let others = [];
    for (const { publicKey: recipient } of this.#recipients) {
      const found = await generations(serial, { channel, recipient, ...wanted });
      const opening = found.filter((blob) => isFor(blob, recipient));
      if (opening.length) return { opening, others };
      others = found;
    }
    return { opening: [], others };
  }

  #hear(event) {
    if (!this.#worker) return;
    if (event.kind === 'missing') this.#missing(event.generation);
    else if (event.kind === 'unreachable') this.#instead();
    else if (event.kind === 'figures') this.#figures = reading(event, this.#figures);
    else if (event.kind === 'ended') this.#say(event.reason === 'ended' ? 'ended' : 'lost');
    else {
      if (event.kind === 'connected' && this.#unreachable) socketsFirst = true;
      this.#say(event.kind, event);
    }
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Keys that a generation may be wrapped for here: this terminal's, then the owner's archive. */
async function recipients(serial) {
  const { exchange } = await sealedTerminal();
  const archive = await archiveKey(serial);
  return archive ? [exchange, archive] : [exchange];
}

/** The worker's figures as stats.js takes them; `before` is the reading a moment ago. */
function reading({ at, bytes, opened, refused, skipped, shown, width, height }, before) {
  const fps = before ? ((shown - before.frames) * 1000) / (at - before.at) : undefined;
  // Bytes that do not become pictures are no moving picture.
  const moving = shown > (before?.frames ?? 0);
  return { at, bytes, received: opened, lost: refused + skipped, frames: shown, fps, width, height, moving };
}
