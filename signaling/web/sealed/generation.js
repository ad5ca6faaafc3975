// A generation as it is stored: what the camera signed, and the base key wrapped for each recipient.

import { Reader, compare, equal, labelled } from './bytes.js';
import { KEY_LEN, SIGNATURE_LEN, sha256, verifies } from './curves.js';
import { SealedError, malformed } from './errors.js';
import { ENC_LEN, TAG_LEN, open as openHpke } from './hpke.js';
import { SUITES } from './sframe.js';

/** First and last number of a generation: a KID has seven bytes for these. */
export const FIRST = 2 ** 24;
export const LAST = 2 ** 32 - 1;
/** Most wraps of one blob. */
export const MAX_WRAPS = 128;
/** Longest blob, bytes. */
export const MAX_BLOB = 14534;

const FORMAT = 1;
const BASE_KEY_LEN = 32;
const COMMITMENT_LEN = 32;
const LABEL = 'sightline/v1/generation';
const COMMITMENT_LABEL = 'sightline/v1/commitment';
const WRAP_LABEL = 'sightline/v1/generation-key';

/**
 * Reads a blob and checks it against the pinned identity (32 bytes) and the binding. What comes
 * out is `{suite, binding, generation, notBefore, listVersion, commitment, header, wraps}`.
 */
export async function openBlob(bytes, camera, binding) {
  const blob = read(bytes);
  // A swapped blob is told by name, before its signature fails for the same reason.
  if (blob.binding.serial !== binding.serial) throw new SealedError('other-camera');
  if (blob.binding.epoch !== binding.epoch) throw new SealedError('other-binding');
  const authentic = await verifies(camera, LABEL, blob.header, blob.signature);
  if (!authentic) throw new SealedError('forged');
  return blob;
}

/** Whether a blob may open for a public key. One that cannot be read is left to whoever opens it. */
export function isFor(bytes, recipient) {
  try {
    return read(bytes).wraps.some((one) => equal(one.recipient, recipient));
  } catch {
    return true;
  }
}

/**
 * The base key that is wrapped for `recipient` ({privateKey, publicKey}, X25519): 32 bytes, which
 * the caller wipes.
 */
export async function unwrap(blob, recipient) {
  const wrap = blob.wraps.find((one) => equal(one.recipient, recipient.publicKey));
  if (!wrap) throw new SealedError('not-a-recipient');
  const info = labelled(WRAP_LABEL, blob.header, recipient.publicKey);
  const baseKey = await openHpke(recipient, wrap.enc, info, wrap.wrapped);
  if (!baseKey) throw new SealedError('wrong-key');
  // Anybody can wrap a key of his own for this terminal; only the camera signs for one.
  if (baseKey.length !== BASE_KEY_LEN || !(await isCommitted(baseKey, blob.commitment))) {
    baseKey.fill(0);
    throw new SealedError('wrong-key');
  }
  return baseKey;
}

async function isCommitted(baseKey, commitment) {
  const input = labelled(COMMITMENT_LABEL, baseKey);
  const found = await sha256(input);
  input.fill(0);
  return equal(found, commitment);
}

function read(bytes) {
  if (bytes.length > MAX_BLOB) throw malformed('it is longer than any blob');
  const reader = new Reader(bytes.slice());
  if (reader.u8() !== FORMAT) throw malformed('another version of the format');
  const suite = SUITES.get(reader.u16());
  if (!suite) throw malformed('a suite that is not offered');
  const binding = reader.binding();
  const number = reader.u64();
  if (number < BigInt(FIRST) || number > BigInt(LAST)) throw malformed('its number is out of range');
  const [notBefore, listVersion] = [reader.u64(), reader.u64()];
  const commitment = reader.take(COMMITMENT_LEN);
  const header = reader.read();
  const signature = reader.take(SIGNATURE_LEN);
  const wraps = readWraps(reader);
  reader.end();
  return { suite, binding, generation: Number(number), notBefore, listVersion, commitment, header, signature, wraps };
}

function readWraps(reader) {
  const count = reader.u16();
  if (count > MAX_WRAPS) throw malformed('it has more wraps than any blob');
  const wraps = Array.from({ length: count }, () => ({
    recipient: reader.take(KEY_LEN),
    enc: reader.take(ENC_LEN),
    wrapped: reader.take(BASE_KEY_LEN + TAG_LEN),
  }));
  const rising = wraps.every((one, at) => at === 0 || compare(wraps[at - 1].recipient, one.recipient) < 0);
  if (!rising) throw malformed('its wraps are not in order');
  return wraps;
}
