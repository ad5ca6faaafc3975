// Asking for a one-time code. The server may want some work first, which a worker does meanwhile.

import { Problem } from './api.js';
import { announce } from './dom.js';
import { startSolver } from './sealed/start_worker.js';

/** Puzzles solved for one code: a second one when the first was answered too late. */
const ROUNDS = 2;

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));

/** A puzzle and its answer. */
export function solved({ puzzle, bits }) {
  const worker = startSolver();
  return new Promise((resolve, reject) => {
    worker.addEventListener('message', ({ data }) => {
      if (data.answer === null) reject(new Problem('work-refused'));
      else resolve(`${puzzle} ${data.answer}`);
    });
    worker.addEventListener('error', () => reject(new Problem('work-refused')));
    worker.postMessage({ puzzle: bytes(puzzle), bits });
  }).finally(() => worker.terminate());
}

/** `ask` is `open` or `call`; `body` is the wish. Resolves to the challenge. */
export async function requestCode(ask, body) {
  let answer = await ask('POST', '/v1/otp', body);
  for (let round = 0; answer.work && round < ROUNDS; round += 1) {
    announce('signin.working');
    answer = await ask('POST', '/v1/otp', body, { 'Sightline-Work': await solved(answer.work) });
  }
  if (answer.work) throw new Problem('work-refused');
  return answer;
}
