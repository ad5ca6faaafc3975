// What a camera shows its owner: the device secret, alone or with a check of the camera's identity,
// as text or as the text of a picture code. KEYS.md of the client has the format.

import { decode } from './base32.js';
import { parse } from './secret.js';
import { equal, labelled } from './sealed/bytes.js';

/** Bytes of a secret that has a check behind it, and of the check. */
const SECRET_LEN = 20;
const CHECK_LEN = 10;
const SCHEME = 'SL2:';
const LABEL = 'sightline/v1/camera-check';

/** Whether a text comes from a picture code. */
export const isPictureText = (text) => text.trim().startsWith(SCHEME);

/**
 * `{secret, check}` of what was typed or scanned for a device, `check` null where there is none; null
 * when it is no secret. Throws `{key}` for another camera's picture code.
 */
export function parseShown(text, serial) {
  let plain = text.trim();
  if (isPictureText(plain)) {
    const [, named, rest = ''] = plain.split(':');
    if (named !== serial) throw { key: 'secret.otherCamera' };
    plain = rest;
  }
  const bytes = decode(plain);
  if (bytes?.length === SECRET_LEN + CHECK_LEN) {
    return { secret: bytes.slice(0, SECRET_LEN), check: bytes.slice(SECRET_LEN) };
  }
  const secret = parse(plain);
  return secret && { secret, check: null };
}

/** Whether a check is that of a camera's identity (32 bytes). */
export async function isCheckOf(check, camera) {
  const hash = await crypto.subtle.digest('SHA-256', labelled(LABEL, camera));
  return equal(check, new Uint8Array(hash, 0, CHECK_LEN));
}
