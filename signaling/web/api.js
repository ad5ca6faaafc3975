// Requests to the server: proofs on each, tokens renewed in time, problems as errors.

import { proof } from './dpop.js';
import { language } from './i18n.js';
import { terminalKey } from './keys.js';
import * as session from './session.js';

/** Longest wait for an answer, milliseconds. */
const TIMEOUT_MS = 15_000;
/** Most pages of a list that are asked for. */
const MAX_PAGES = 100;
// How far the server's clock is ahead of ours, seconds.
let clockOffset = 0;

/** A problem document (RFC 9457), or a failure to reach the server (`name` is `offline`). */
export class Problem extends Error {
  constructor(name, { status = 0, title = '', detail = '', retryAfter = 0, body = {} } = {}) {
    super(detail || title || name);
    Object.assign(this, { name, status, title, detail, retryAfter, body });
  }

  static async of(response) {
    let body = {};
    try {
      body = await response.json();
    } catch {
      // Not a problem document: a proxy's answer, perhaps. The status must do.
    }
    const name = String(body.type ?? '').split('/').pop() || `status-${response.status}`;
    const retryAfter = Number(response.headers.get('retry-after')) || 0;
    const { title, detail } = body;
    return new Problem(name, { status: response.status, title, detail, retryAfter, body });
  }
}

/**
 * One request with a proof, and its whole answer. `token` is presented with `scheme`; `body` objects go as
 * JSON; `timeout`: longest wait for the answer, milliseconds.
 */
export async function send(method, path, { token, scheme = 'DPoP', body, type, headers, timeout = TIMEOUT_MS } = {}) {
  const request = { token, scheme, body, type, headers, timeout };
  let response = await once(method, path, request);
  if (response.status === 401 && correctClock(response)) response = await once(method, path, request);
  if (!response.ok) throw await Problem.of(response);
  return response;
}

async function once(method, path, { token, scheme, body, type, headers = {}, timeout }) {
  const url = new URL(path, location.href);
  const now = Date.now() / 1000 + clockOffset;
  const all = { 'Accept-Language': language(), ...headers };
  all.DPoP = await proof(await terminalKey(), { method, url: url.href, token, now });
  if (token) all.Authorization = `${scheme} ${token}`;
  if (body !== undefined) all['Content-Type'] = type ?? 'application/json';
  const sent = body === undefined || type ? body : JSON.stringify(body);
  const signal = AbortSignal.timeout(timeout);
  try {
    return await whole(await fetch(url, { method, headers: all, body: sent, signal, cache: 'no-store' }));
  } catch {
    throw new Problem('offline');
  }
}

/** An answer whose body has arrived: a connection lost on the way is no answer. */
async function whole(response) {
  const body = await response.arrayBuffer();
  const { status, statusText, headers } = response;
  // A status without content takes no body, not even an empty one.
  const arrived = new Response(body.byteLength ? body : null, { status, statusText, headers });
  // A made answer has no address of its own.
  return Object.defineProperty(arrived, 'url', { value: response.url });
}

/** Learns the server's time from its answer; true when ours was far enough off to matter. */
function correctClock(response) {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return false;
  const offset = (date - Date.now()) / 1000;
  if (Math.abs(offset - clockOffset) < 30) return false;
  clockOffset = offset;
  return true;
}

/** A request as the signed-in account; returns parsed JSON, or null without content. Lists come whole. */
export async function call(method, path, body, headers) {
  const answer = await asked(method, path, body, headers);
  for (let pages = 1; method === 'GET' && answer?.next && pages < MAX_PAGES; pages++) {
    const more = await asked(method, `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(answer.next)}`);
    answer.items.push(...more.items);
    answer.next = more.next;
  }
  return answer;
}

/** One page of a list, as the signed-in account: `{items, next}`, `next` null at the end. `path` has the cursor. */
export async function page(method, path, body, headers) {
  const { items, next = null } = await asked(method, path, body, headers);
  return { items, next };
}

async function asked(method, path, body, headers) {
  try {
    return await twice(method, path, body, headers);
  } catch (problem) {
    if (problem.name === 'consent-required' && problem.body?.purpose === 'account') session.tellBasic();
    throw problem;
  }
}

async function twice(method, path, body, headers) {
  const token = await session.accessToken(send);
  try {
    return await parsed(await send(method, path, { token, body, headers }));
  } catch (problem) {
    if (!isLoginOver(problem)) throw problem;
  }
  // The token may have died early (a restart, a clock): one renewal decides.
  const fresh = await session.accessToken(send, token);
  try {
    return await parsed(await send(method, path, { token: fresh, body, headers }));
  } catch (problem) {
    if (isLoginOver(problem)) await session.end();
    throw problem;
  }
}

/** Refusals of the access token. Others, such as a wrong code, must never be tried twice. */
const LOGIN_OVER = ['login-required', 'wrong-terminal', 'session-ended', 'token-expired', 'status-401'];

const isLoginOver = ({ name }) => LOGIN_OVER.includes(name);

/** A request without a login, for facts and codes. */
export const open = async (method, path, body, headers) => parsed(await send(method, path, { body, headers }));

async function parsed(response) {
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}
