// The viewer's side of a channel: sealed frames become access units, or refusals.

import { SealedError, malformed } from './errors.js';
import { MAX_TRACKS, isOf, parse, serialTag } from './frame.js';
import { FrameKey } from './sframe.js';
import { Window } from './window.js';

/** A live frame that was captured longer ago, or ahead, is shown as delayed, milliseconds. */
export const DELAYED_MS = 5000;
// Most keys with their windows: the tracks of a stream, under the generations of a switch.
const MAX_KEYS = 4 * MAX_TRACKS;

/** Opens the frames of one channel for one session. */
export class FrameOpener {
  #tag;
  #channel;
  #keyring;
  #keys = new Map();

  constructor(keyring, channel, tag) {
    this.#keyring = keyring;
    this.#channel = channel;
    this.#tag = tag;
  }

  /** An opener for a channel of the keyring's camera. */
  static async of(keyring, channel) {
    return new FrameOpener(keyring, channel, await serialTag(keyring.binding.serial));
  }

  /**
   * The access unit of a sealed frame as `unit`, with what the camera said of it. `now` is this
   * machine's clock, milliseconds since 1970; `delayed` is how far the capture lies from it when
   * that is more than `DELAYED_MS`, else 0. Throws a SealedError: then nothing may be shown.
   */
  async open(frame, now) {
    const parts = parse(frame);
    if (!isOf(parts, this.#tag, this.#channel)) {
      const same = isOf({ ...parts, channel: this.#channel }, this.#tag, this.#channel);
      throw new SealedError('other-camera', same ? 'another channel' : '');
    }
    if (!parts.agrees) throw malformed('KID and descriptor name different tracks');
    const unit = await this.#unseal(parts);
    const apart = Math.abs(now - parts.captured);
    const { keyframe, discardable, discontinuity, sub, codec, track, captured, generation, ctr } = parts;
    return {
      unit, keyframe, discardable, discontinuity, sub, codec, track, captured, generation, ctr,
      delayed: apart > DELAYED_MS ? apart : 0,
    };
  }

  async #unseal(parts) {
    const { kid, ctr, generation } = parts;
    const held = this.#keyring.get(generation);
    if (!held) throw new SealedError('missing-generation', String(generation), { generation });
    const known = this.#keys.get(kid);
    refuseStale(known, ctr);
    const key = known?.key ?? (await FrameKey.derive(held.suite, held.baseKey, kid));
    const unit = await key.open(ctr, parts.header, parts.descriptor, parts.sealed);
    if (!unit) throw new SealedError('tampered');
    this.#record(kid, key, ctr);
    return unit;
  }

  /**
   * Takes note of an authentic frame. A copy of it may have been opened in the meantime, so the
   * window decides once more. A key is kept with the first authentic frame only: whoever invents
   * tracks fills nothing.
   */
  #record(kid, key, ctr) {
    refuseStale(this.#keys.get(kid), ctr);
    if (!this.#keys.has(kid)) {
      for (const old of [...this.#keys.keys()]) {
        const gone = !this.#keyring.holds(Number(old >> 24n));
        if (gone || this.#keys.size >= MAX_KEYS) this.#keys.delete(old);
      }
      this.#keys.set(kid, { key, window: new Window() });
    }
    this.#keys.get(kid).window.record(ctr);
  }
}

function refuseStale(known, ctr) {
  const verdict = known?.window.check(ctr) ?? 'fresh';
  if (verdict !== 'fresh') throw new SealedError(verdict, String(ctr));
}
