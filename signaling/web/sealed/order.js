// The sealing order: an owner's signed word on whether a camera seals. A camera obeys no other.

import { Reader, bindingBytes, concat, u64 } from './bytes.js';
import { SIGNATURE_LEN, sign, verifies } from './curves.js';
import { SealedError, malformed } from './errors.js';

const FORMAT = 1;
const LABEL = 'sightline/v1/sealing';
/** Highest number of an order: the server counts with numbers that JSON can hold. */
export const LAST_SEQUENCE = 2n ** 53n - 1n;

/** The signed bytes of `{binding, sequence, sealed}`. `auth` is the private key of that branch. */
export async function signed({ binding, sequence, sealed }, auth) {
  const mode = Uint8Array.of(sealed ? 1 : 0);
  const body = concat(Uint8Array.of(FORMAT), bindingBytes(binding), u64(sequence), mode);
  return concat(body, await sign(auth, LABEL, body));
}

/** Reads an order and checks its signature against the public half of `auth`. */
export async function open(bytes, verifier) {
  const reader = new Reader(bytes);
  if (reader.u8() !== FORMAT) throw malformed('another version of the format');
  const [binding, sequence, mode] = [reader.binding(), reader.u64(), reader.u8()];
  if (mode > 1) throw malformed('an unknown mode');
  const body = reader.read();
  const signature = reader.take(SIGNATURE_LEN);
  reader.end();
  if (!(await verifies(verifier, LABEL, body, signature))) throw new SealedError('signature');
  return { binding, sequence, sealed: mode === 1 };
}

/**
 * What an owner's terminal knows after an order: `{sequence, open}`, the sequence a bigint. `word` is
 * what it knew, with `open` false when the camera was seen sealing since. Throws what it refuses.
 */
export function after(word, order, binding) {
  const { serial, epoch } = order.binding;
  if (serial !== binding.serial) throw new SealedError('other-camera');
  if (epoch !== binding.epoch) throw new SealedError('other-binding');
  const outdated = order.sequence === word.sequence && !order.sealed && !word.open;
  if (order.sequence < word.sequence || outdated) {
    throw new SealedError('not-newer', `${order.sequence} after ${word.sequence}`);
  }
  return { sequence: order.sequence, open: !order.sealed };
}

/**
 * Number of the next order: above all that are known here and to the server, and above those that
 * both have forgotten, as numbers follow the clock (Unix seconds).
 */
export function nextSequence(known, told, now) {
  const above = (known > told ? known : told) + 1n;
  return above > now ? above : now;
}
