// What a relay sends over WebTransport, and in pieces over a WebSocket: frames on uni streams, a stream for each group of pictures.

import { concat } from './bytes.js';
import { malformed } from './errors.js';

/** Version of the format. */
export const VERSION = 1;
/** Longest item, bytes: start codes may make an open access unit longer than the frame was. */
export const MAX_ITEM = 8 * 1024 * 1024;
// Tracks are numbered by a byte.
const MAX_TRACK = 255;

const [KEYFRAME, DISCARDABLE, DISCONTINUITY, SEALED, TIER_SUB, CAPTURED] = [1, 2, 4, 8, 16, 32];

/** Takes the bytes of one stream, cut anywhere, and gives out items. */
export class GopReader {
  #pieces = [];
  #held = 0;
  #length = null;
  #version = null;
  /** Track of the stream, null until its head was read. */
  track = null;

  /** More bytes of the stream. */
  push(bytes) {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#held += bytes.length;
  }

  /** Bytes held for an item in progress. */
  get held() {
    return this.#held;
  }

  /**
   * The next whole item, or null until more bytes come: `{track, keyframe, discardable,
   * discontinuity, sealed, sub, sequence, mediaTime, capture, payload}`, `capture` in microseconds
   * or null. Throws `malformed`; the reader is then of no more use.
   */
  next() {
    if (this.track === null && !this.#head()) return null;
    this.#length ??= this.#integer();
    if (this.#length === null) return null;
    if (this.#length > MAX_ITEM) throw malformed(`an item of ${this.#length} bytes; ${MAX_ITEM} are allowed`);
    if (this.#held < this.#length) return null;
    const body = this.#take(this.#length);
    this.#length = null;
    return item(this.track, body);
  }

  #head() {
    this.#version ??= this.#integer();
    if (this.#version === null) return false;
    if (this.#version !== VERSION) throw malformed(`version ${this.#version} of the stream format`);
    const track = this.#integer();
    if (track === null) return false;
    if (track > MAX_TRACK) throw malformed(`track ${track} is not in any session`);
    this.track = track;
    return true;
  }

  /** An integer of QUIC at the front, or null. */
  #integer() {
    if (this.#held === 0) return null;
    const length = 1 << (this.#pieces[0][0] >> 6);
    return this.#held < length ? null : integer(this.#take(length), 0).value;
  }

  #take(count) {
    this.#held -= count;
    const taken = [];
    for (let wanted = count; wanted > 0; ) {
      const piece = this.#pieces[0];
      const part = piece.subarray(0, wanted);
      taken.push(part);
      wanted -= part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    return taken.length === 1 ? taken[0] : concat(...taken);
  }
}

/** An integer of QUIC (RFC 9000, 16) at `at`, and where it ends. Above 2^53 it is not exact. */
function integer(bytes, at) {
  const end = at + (1 << (bytes[at] >> 6));
  if (!(end <= bytes.length)) throw malformed('an item that is shorter than its descriptor');
  let value = bytes[at] & 0x3f;
  for (let next = at + 1; next < end; next += 1) value = value * 256 + bytes[next];
  return { value, end };
}

function item(track, body) {
  if (body.length === 0) throw malformed('an item that is shorter than its descriptor');
  const flags = body[0];
  let at = 1;
  const following = () => {
    const { value, end } = integer(body, at);
    at = end;
    return value;
  };
  const [sequence, mediaTime] = [following(), following()];
  const capture = (flags & CAPTURED) !== 0 ? following() : null;
  return {
    track,
    keyframe: (flags & KEYFRAME) !== 0,
    discardable: (flags & DISCARDABLE) !== 0,
    discontinuity: (flags & DISCONTINUITY) !== 0,
    sealed: (flags & SEALED) !== 0,
    sub: (flags & TIER_SUB) !== 0,
    sequence,
    mediaTime,
    capture,
    payload: body.subarray(at),
  };
}
