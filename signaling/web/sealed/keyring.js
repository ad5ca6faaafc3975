// A viewer's generations: checked against the pinned camera, opened with the terminal's key.

import { SealedError } from './errors.js';
import { openBlob, unwrap } from './generation.js';
import { importBaseKey } from './sframe.js';

/** Generations held for a live view: the one in use and those that it changes from or to. */
export const MAX_HELD_LIVE = 4;
/** Generations held while recordings play. */
export const MAX_HELD_RECORDINGS = 64;
/** How far in the future a generation may start, seconds: cameras' clocks are wrong. */
export const MAX_CLOCK_LEAD = 24 * 3600;

export class Keyring {
  #camera;
  #live;
  #held = new Map();
  #remember;
  #turn = Promise.resolve();
  /** Newest generation that was accepted, or 0. */
  newest;

  constructor({ binding, camera, live, newest = 0, remember = async () => {} }) {
    this.binding = binding;
    this.newest = newest;
    this.#camera = camera;
    this.#live = live;
    this.#remember = remember;
  }

  /**
   * For live view of the camera whose identity (32 bytes) was pinned. `newest` is the number that
   * `remember` was called with last: a generation before it is not live any more.
   */
  static live(facts) {
    return new Keyring({ ...facts, live: true });
  }

  /** For recordings, which may be of any generation. */
  static recordings({ binding, camera }) {
    return new Keyring({ binding, camera, live: false });
  }

  /** Whether frames of a generation can be opened. */
  holds(generation) {
    return this.#held.has(generation);
  }

  /** `{suite, baseKey}` of a generation; the key is a CryptoKey that cannot be read. */
  get(generation) {
    return this.#held.get(generation);
  }

  /**
   * Takes a blob; resolves to its number. `now` is Unix seconds. Throws a SealedError, and then
   * nothing has changed. Blobs are taken one after the other, so that none overtakes a check.
   */
  accept(bytes, recipient, now) {
    const taken = this.#turn.then(() => this.#accept(bytes, recipient, now));
    this.#turn = taken.catch(() => {});
    return taken;
  }

  async #accept(bytes, recipient, now) {
    const blob = await openBlob(bytes, this.#camera, this.binding);
    const { generation, suite } = blob;
    if (this.#live && generation < this.newest && !this.holds(generation)) {
      throw new SealedError('older', `${generation} before ${this.newest}`);
    }
    if (blob.notBefore > BigInt(Math.floor(now) + MAX_CLOCK_LEAD)) throw new SealedError('not-yet');
    const baseKey = await importBaseKey(await unwrap(blob, recipient));
    if (generation > this.newest) {
      await this.#remember(generation);
      this.newest = generation;
    }
    // A number has one key for ever: what is held stays, with the frames that it opened.
    if (!this.holds(generation)) this.#held.set(generation, { suite, baseKey });
    this.#makeRoom(generation);
    return generation;
  }

  #makeRoom(kept) {
    const room = this.#live ? MAX_HELD_LIVE : MAX_HELD_RECORDINGS;
    const lowestFirst = [...this.#held.keys()].filter((one) => one !== kept).sort((a, b) => a - b);
    while (this.#held.size > room) this.#held.delete(lowestFirst.shift());
  }
}
