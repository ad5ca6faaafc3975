// Canonical bytes: big-endian integers, texts behind their length. A document has one encoding.

import { malformed } from './errors.js';

const encoder = new TextEncoder();
const SERIAL = /^[A-Za-z0-9_-]{1,64}$/;

/** UTF-8 of a text. */
export const utf8 = (text) => encoder.encode(text);

/** Byte arrays one behind the other. */
export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** What is signed or hashed: the label says what for, and cannot run into what follows. */
export const labelled = (label, ...parts) => concat(utf8(label), Uint8Array.of(0), ...parts);

/** Two bytes. */
export const u16 = (value) => Uint8Array.of(value >> 8, value & 0xff);

/** Eight bytes of a number or bigint from 0 to 2^64 - 1. */
export function u64(value) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}

/** A text of at most 255 bytes behind its length. */
export function text(value) {
  const bytes = utf8(value);
  if (bytes.length > 255) throw malformed('a text is too long');
  return concat(Uint8Array.of(bytes.length), bytes);
}

/** Device and owner: `{serial, epoch}`, the epoch a bigint. */
export const bindingBytes = ({ serial, epoch }) => concat(text(serial), u64(epoch));

/** Whether two byte arrays are equal, in a time that tells only their lengths. */
export function equal(a, b) {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at += 1) difference |= a[at] ^ b[at];
  return difference === 0;
}

/** Order of byte arrays of one length: negative, zero or positive. */
export function compare(a, b) {
  for (let at = 0; at < a.length; at += 1) {
    if (a[at] !== b[at]) return a[at] - b[at];
  }
  return a.length - b.length;
}

/** Reads a document from its start. Throws `malformed`. */
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  /** A view of the next bytes. */
  take(count) {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw malformed('it is cut short');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** A copy of the next bytes, which outlives what was read. */
  copy(count) {
    return this.take(count).slice();
  }

  u8() {
    return this.take(1)[0];
  }

  u16() {
    const [high, low] = this.take(2);
    return (high << 8) | low;
  }

  /** A bigint. */
  u64() {
    const bytes = this.take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  }

  text() {
    const bytes = this.take(this.u8());
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw malformed('a text is not UTF-8');
    }
  }

  binding() {
    const serial = this.text();
    if (!SERIAL.test(serial)) throw malformed('the serial is not one');
    return { serial, epoch: this.u64() };
  }

  /** Everything that was read so far. */
  read() {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Nothing may follow. */
  end() {
    if (this.#at !== this.#bytes.length) throw malformed('bytes follow its end');
  }
}
