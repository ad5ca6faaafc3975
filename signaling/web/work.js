// A worker that solves one puzzle: the number whose eight bytes behind the puzzle's give a SHA-256
// with so many leading zero bits. The hash is written out here, since the browser's own takes a
// promise for each message.

const K = new Uint32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const START = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** Longest message of one block, bytes. */
const ONE_BLOCK = 55;
/** Most bits that are looked for. */
export const MAX_BITS = 24;

const words = new Uint32Array(64);
const state = new Uint32Array(8);
const turn = (word, by) => (word >>> by) | (word << (32 - by));

/** SHA-256 of the one block in `words`, into `state`. */
function compress() {
  for (let i = 16; i < 64; i += 1) {
    const a = words[i - 15];
    const b = words[i - 2];
    const low = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3);
    const high = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10);
    words[i] = words[i - 16] + low + words[i - 7] + high;
  }
  let [a, b, c, d, e, f, g, h] = START;
  for (let i = 0; i < 64; i += 1) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + words[i]) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + one) | 0;
    d = c; c = b; b = a; a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] = START[i] + word; });
}

/** The smallest answer, or null when there is none within reason. */
export function solve(puzzle, bits) {
  const length = puzzle.length + 8;
  if (length > ONE_BLOCK || bits > MAX_BITS) return null;
  const block = new Uint8Array(64);
  block.set(puzzle);
  block[length] = 0x80;
  const view = new DataView(block.buffer);
  view.setUint32(60, length * 8);
  for (let answer = 0; answer < 32 * 2 ** bits; answer += 1) {
    view.setUint32(puzzle.length, Math.floor(answer / 2 ** 32));
    view.setUint32(puzzle.length + 4, answer % 2 ** 32);
    for (let i = 0; i < 16; i += 1) words[i] = view.getUint32(i * 4);
    compress();
    if (bits <= 32 && Math.clz32(state[0]) >= bits) return answer;
  }
  return null;
}

globalThis.addEventListener?.('message', ({ data: { puzzle, bits } }) => {
  globalThis.postMessage({ answer: solve(puzzle, bits) });
});
