// Base32 (RFC 4648) as people type it: any case, dashes and spaces anywhere.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
// Digits that are not in the alphabet, read as the letters that they look like.
const LOOKALIKES = { 0: 'O', 1: 'I', 8: 'B' };

/** The bytes, or null when the text is not base32 without padding. */
export function decode(text) {
  const bytes = [];
  let bits = 0;
  let held = 0;
  let length = 0;
  for (const given of text.toUpperCase()) {
    if (/[\s\-\u2010-\u2015]/.test(given)) continue;
    const value = ALPHABET.indexOf(LOOKALIKES[given] ?? given);
    if (value < 0) return null;
    length += 1;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 0xff);
      held &= (1 << bits) - 1;
    }
  }
  // These lengths do not end on a byte; spare bits must be zero, so that each value has one text.
  if ([1, 3, 6].includes(length % 8) || held !== 0) return null;
  return Uint8Array.from(bytes);
}

/** Groups of four with dashes, for showing while typing. */
export function grouped(text) {
  const plain = text.toUpperCase().replace(/[^A-Z0-9]/g, '');
  return plain.match(/.{1,4}/g)?.join('-') ?? '';
}
