// The login: a short access token in memory, and a refresh token that only this terminal's key
// can use. Tabs share the refresh token and take turns.

import * as store from './store.js';

const REFRESH = 'refresh-token';
/** Renew this long before the access token ends, milliseconds. */
const EARLY_MS = 30_000;
/**
 * The server takes a used refresh token once more within 5 s, for an answer that was lost. So a first try
 * waits this long, milliseconds, and the second is sent well within that time; its answer may come late.
 */
const REFRESH_MS = 2000;
let access = null;
const ended = new EventTarget(); // of what the page did not ask for: `end`, `basic`

/** Calls `listener` when the login ends without the user's doing. */
export const onEnd = (listener) => ended.addEventListener('end', listener);

/** Calls `listener` when the server says that the account is in basic mode. */
export const onBasic = (listener) => ended.addEventListener('basic', listener);
export const tellBasic = () => ended.dispatchEvent(new Event('basic'));

export const isSignedIn = async () => Boolean(access ?? (await store.get(REFRESH)));

/** Keeps what a login or renewal answered. */
export async function keep({ access_token, expires_in, refresh_token }) {
  access = { token: access_token, until: Date.now() + expires_in * 1000 };
  if (refresh_token) await store.put(REFRESH, refresh_token);
}

export async function forget() {
  access = null;
  await store.remove(REFRESH);
}

/**
 * A valid access token, renewed when it ends soon or is `stale` (a token that was just refused).
 * Throws a problem named `login-required` when there is no login any more.
 */
export async function accessToken(send, stale) {
  const usable = () => access && access.token !== stale && Date.now() < access.until - EARLY_MS;
  if (usable()) return access.token;
  return navigator.locks.request('sightline-refresh', async () => {
    if (usable()) return access.token;
    const refresh_token = await store.get(REFRESH);
    if (!refresh_token) return over(await loginRequired());
    try {
      await keep(await renewed(send, refresh_token));
    } catch (problem) {
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
        await forget();
        return over(await loginRequired());
      }
      throw problem;
    }
    return access.token;
  });
}

/** Trades the refresh token, at once a second time when no answer came. */
async function renewed(send, refresh_token) {
  const request = (timeout) => send('POST', '/v1/sessions/refresh', { body: { refresh_token }, timeout });
  const lost = (problem) => {
    if (problem.name !== 'offline') throw problem;
    return request();
  };
  return (await request(REFRESH_MS).catch(lost)).json();
}

async function loginRequired() {
  const { Problem } = await import('./api.js');
  return new Problem('login-required', { status: 401 });
}

function over(problem) {
  access = null;
  ended.dispatchEvent(new Event('end'));
  throw problem;
}

/** Gives up a login that the server no longer takes. */
export async function end() {
  await forget();
  ended.dispatchEvent(new Event('end'));
}
