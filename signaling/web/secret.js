// The device secret stays in this page: it becomes a signing key, and only signatures leave.

import { decode } from './base32.js';
import { base64url, fromBase64url } from './dpop.js';

/** Shortest secret, bytes. */
export const MIN_SECRET_LEN = 16;
/** Longest secret, bytes. */
export const MAX_SECRET_LEN = 64;

const LABEL = 'sightline/v1/key-proof';
const encoder = new TextEncoder();
// PKCS #8 of an Ed25519 key (RFC 8410) up to its 32-byte seed.
const PKCS8 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/** The secret's bytes, or null when the text is not one. */
export function parse(text) {
  const bytes = decode(text);
  const fits = bytes && bytes.length >= MIN_SECRET_LEN && bytes.length <= MAX_SECRET_LEN;
  return fits ? bytes : null;
}

/** Derives the `auth` key of a secret. The bytes are wiped afterwards. */
export async function authKey(secret) {
  const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  secret.fill(0);
  const info = encoder.encode('sightline/v1/auth');
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info };
  const seed = new Uint8Array(await crypto.subtle.deriveBits(hkdf, material, 256));
  const wrapped = Uint8Array.from([...PKCS8, ...seed]);
  seed.fill(0);
  try {
    return await crypto.subtle.importKey('pkcs8', wrapped, 'Ed25519', false, ['sign']);
  } finally {
    wrapped.fill(0);
  }
}

/**
 * Whether a challenge is what it should be: for this server, this terminal and this device. A
 * server that passes on another server's challenge gets no signature.
 */
export function isOurs(message, { serverName, terminal, serial, channel }) {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(message);
  const lines = text.split('\n');
  return (
    lines.length === 8 &&
    lines[0] === LABEL &&
    lines[1] === serverName &&
    lines[3] === terminal &&
    lines[4] === serial &&
    lines[5] === String(channel)
  );
}

/** Signs a challenge (base64url) after checking it; returns the signature as base64url. */
export async function answer(key, challenge, expected) {
  const message = fromBase64url(challenge);
  if (!isOurs(message, expected)) throw new Error('the challenge is for something else');
  return base64url(await crypto.subtle.sign('Ed25519', key, message));
}
