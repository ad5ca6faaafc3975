// Texts with which a device is added: `SL1:SERIAL:CODE`, and `SL3:KIND:SERIAL:CODE:CHECK` with a check
// against misreading (control-plane/src/add_code.rs has the format).

import { labelled } from './sealed/bytes.js';

const LABEL = 'sightline/v1/add-code';
const BIND_TEXT = /SL1:([A-Za-z0-9_-]{1,64}):([A-Za-z0-9-]{4,32})/;
const PICTURE = /^(SL3:([BT]):([A-Za-z0-9_-]{1,64}):([A-Z2-7]{8,32})):([A-Z2-7]{4})$/;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Whether a text comes from a picture code with which devices are added. */
export const isAddText = (text) => /^SL[13]:/.test(text.trim());

/**
 * `{serial, code, transfer, payload}` of a text, `payload` the text itself where it has a check; null
 * when it is none. Throws `{key}` when it was misread.
 */
export async function parseAddText(text) {
  const plain = text.trim();
  const old = BIND_TEXT.exec(plain);
  if (old) return { serial: old[1], code: old[2], transfer: false, payload: null };
  if (!plain.startsWith('SL3:')) return null;
  const read = PICTURE.exec(plain);
  if (!read) throw { key: 'bind.misread' };
  const [, body, kind, serial, code, check] = read;
  if ((await checkOf(body)) !== check) throw { key: 'bind.misread' };
  return { serial, code, transfer: kind === 'T', payload: plain };
}

/** The first four letters of a hash. */
async function checkOf(body) {
  const hash = await crypto.subtle.digest('SHA-256', labelled(LABEL, new TextEncoder().encode(body)));
  const [a, b, c] = new Uint8Array(hash);
  const bits = (a << 16) | (b << 8) | c;
  return [19, 14, 9, 4].map((shift) => LETTERS[(bits >> shift) & 31]).join('');
}
