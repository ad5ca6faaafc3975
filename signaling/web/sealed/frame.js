// A sealed frame as it travels: descriptor, SFrame header, ciphertext, tag. Bytes only.

import { compare, concat, utf8 } from './bytes.js';
import { sha256 } from './curves.js';
import { malformed } from './errors.js';
import { FIRST } from './generation.js';
import { TAG_LEN } from './sframe.js';

/** Bytes of the descriptor. */
export const DESCRIPTOR_LEN = 22;
/** Bytes of the SFrame header: lengths, 7 of KID, 4 of CTR. */
export const HEADER_LEN = 12;
/** Longest access unit, bytes. */
export const MAX_UNIT = 4_190_060;
/** Tracks of a stream are numbered below this. */
export const MAX_TRACKS = 8;
/** Codecs by their number in the descriptor. */
export const CODECS = Object.freeze([, 'h264', 'h265', 'av1', 'opus', 'pcmu', 'pcma', 'aac']);

const OVERHEAD = DESCRIPTOR_LEN + HEADER_LEN + TAG_LEN;
const VERSION = 1;
const [KEYFRAME, DISCARDABLE, DISCONTINUITY, TIER_SUB] = [1, 2, 4, 8];
const KNOWN_FLAGS = 15;
const SERIAL_TAG_LEN = 8;
// X and Y bits, lengths of KID and CTR less one (RFC 9605, 4.3).
const LENGTHS = 0x80 | (6 << 4) | 0x08 | 3;
// Counters have four bytes from here on.
const FIRST_COUNTER = 2 ** 24;
const MAX_CAPTURE = 2n ** 62n - 1n;

/** What stands for a serial in descriptors. */
export async function serialTag(serial) {
  const hash = await sha256(concat(utf8('sightline/v1/serial'), utf8(serial)));
  return hash.subarray(0, SERIAL_TAG_LEN);
}

/**
 * Takes a sealed frame apart. Throws `malformed` when it is not of this form. `captured` is
 * milliseconds since 1970 by the camera's clock. Whether KID and descriptor agree is `agrees`.
 */
export function parse(frame) {
  if (frame.length <= OVERHEAD || frame.length > OVERHEAD + MAX_UNIT) throw malformed('length of a frame');
  const descriptor = frame.subarray(0, DESCRIPTOR_LEN);
  const header = frame.subarray(DESCRIPTOR_LEN, DESCRIPTOR_LEN + HEADER_LEN);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const said = readDescriptor(descriptor, view);
  const { kid, generation, channel, track, ctr } = readHeader(view);
  const agrees = channel === said.channel && track === said.track;
  return { ...said, descriptor, header, sealed: frame.subarray(DESCRIPTOR_LEN + HEADER_LEN), kid, generation, ctr, agrees };
}

/** Whether a frame is of the device that `tag` stands for. */
export const isOf = (parts, tag, channel) => compare(parts.serialTag, tag) === 0 && parts.channel === channel;

function readDescriptor(bytes, view) {
  const [version, flags, codec, track] = bytes;
  if (version !== VERSION) throw malformed('version of the descriptor');
  if ((flags & ~KNOWN_FLAGS) !== 0) throw malformed('flags of the descriptor');
  if (CODECS[codec] === undefined) throw malformed('codec of the descriptor');
  if (track >= MAX_TRACKS) throw malformed('track of the descriptor');
  const capture = view.getBigUint64(6);
  if (capture > MAX_CAPTURE) throw malformed('capture time of the descriptor');
  return {
    keyframe: (flags & KEYFRAME) !== 0,
    discardable: (flags & DISCARDABLE) !== 0,
    discontinuity: (flags & DISCONTINUITY) !== 0,
    sub: (flags & TIER_SUB) !== 0,
    codec: CODECS[codec],
    track,
    channel: view.getUint16(4),
    captured: Number(capture) / 1000,
    serialTag: bytes.subarray(14, DESCRIPTOR_LEN),
  };
}

function readHeader(view) {
  const at = DESCRIPTOR_LEN;
  if (view.getUint8(at) !== LENGTHS) throw malformed('lengths of the SFrame header');
  const generation = view.getUint32(at + 1);
  const ctr = view.getUint32(at + 8);
  if (generation < FIRST || ctr < FIRST_COUNTER) throw malformed('an SFrame header that is not the shortest');
  return {
    generation,
    channel: view.getUint16(at + 5),
    track: view.getUint8(at + 7),
    kid: view.getBigUint64(at) & 0xff_ffff_ffff_ffffn,
    ctr,
  };
}
