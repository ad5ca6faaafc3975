// Requests of the page, against a server that loses answers.

import assert from 'node:assert/strict';
import test from 'node:test';

const kept = new Map();
const transaction = () => {
  const made = { objectStore: () => store };
  queueMicrotask(() => made.oncomplete());
  return made;
};
const store = {
  get: (key) => ({ result: kept.get(key) }),
  put: (value, key) => ({ result: kept.set(key, value) }),
  delete: (key) => ({ result: kept.delete(key) }),
};
const opening = () => {
  const request = { result: { transaction } };
  queueMicrotask(() => request.onsuccess());
  return request;
};
const locks = { request: (name, work) => work() };
Object.defineProperty(globalThis, 'navigator', { value: { locks, languages: ['en'] }, configurable: true });
globalThis.indexedDB = { open: opening };
globalThis.location = { href: 'https://cam.example/' };

const { call, page } = await import('../../web/api.js');
const session = await import('../../web/session.js');
const { Guest } = await import('../../web/sealed/introduction.js');

const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers });
const lost = () => {
  throw new TypeError('failed to fetch');
};
/** An answer of which the connection loses the rest. */
const cut = () => new Response(new ReadableStream({
  start: (body) => {
    body.enqueue(new TextEncoder().encode('{"items":'));
    body.error(new TypeError('network error'));
  },
}));

/** Answers requests in turn; the list of what was asked. */
function server(...answers) {
  const asked = [];
  globalThis.fetch = async (url, { method }) => {
    asked.push(`${method} ${url.pathname}${url.search}`);
    return answers.shift()();
  };
  return asked;
}

const login = (expires_in = 3600) => session.keep({ access_token: 'a', expires_in, refresh_token: 'r' });

test('a list comes whole, also one that was asked for with a query', async () => {
  await login();
  const asked = server(() => json({ items: [1], next: 'c+1' }), () => json({ items: [2], next: null }));
  assert.deepEqual((await call('GET', '/v1/me/oplog?since=5')).items, [1, 2]);
  assert.deepEqual(asked, ['GET /v1/me/oplog?since=5', 'GET /v1/me/oplog?since=5&cursor=c%2B1']);
});

test('a page of a list is one request', async () => {
  await login();
  server(() => json({ items: [1], next: 'more' }), () => json({ items: [2] }));
  assert.deepEqual(await page('GET', '/v1/me/oplog'), { items: [1], next: 'more' });
  assert.deepEqual(await page('GET', '/v1/me/oplog?cursor=more'), { items: [2], next: null });
});

test('an answer that is lost on the way is no answer', async () => {
  await login();
  server(cut, () => new Response(null, { status: 204 }));
  await assert.rejects(call('GET', '/v1/devices'), { name: 'offline' });
  assert.equal(await call('DELETE', '/v1/sessions/current'), null);
});

test('a lost renewal is asked for once more, and the login outlasts two', async () => {
  await login(0);
  const renewal = 'POST /v1/sessions/refresh';
  const asked = server(lost, () => json({ access_token: 'b', expires_in: 3600, refresh_token: 's' }), () => json({ items: [] }));
  await call('GET', '/v1/devices');
  assert.deepEqual(asked, [renewal, renewal, 'GET /v1/devices']);
  assert.equal(kept.get('refresh-token'), 's');
  await login(0);
  const again = server(lost, lost);
  await assert.rejects(call('GET', '/v1/devices'), { name: 'offline' });
  assert.deepEqual([again.length, kept.get('refresh-token')], [2, 'r']);
});

test('an introduction goes on after a lost answer, and ends with a word of the server', async () => {
  await login();
  const guest = new Guest();
  guest.code = 'ABCDEFGH';
  const none = { reply: null, reveal: null, added: null };
  const { signal } = new AbortController();
  server(lost, () => json({ type: 'x/unavailable' }, 503), () => json({ ...none, added: true }), () => json({}));
  assert.equal(await guest.outcome(signal), true);
  server(lost, () => json({ type: 'x/introduction-unknown' }, 404));
  await assert.rejects(guest.outcome(signal), { name: 'introduction-unknown' });
});

test('whoever gives up an introduction waits no longer', async () => {
  await login();
  const guest = new Guest();
  guest.code = 'ABCDEFGH';
  const abort = new AbortController();
  server(() => json({ type: 'x/rate-limited' }, 429, { 'retry-after': '60' }));
  const outcome = guest.outcome(abort.signal);
  setTimeout(() => abort.abort(), 50);
  await assert.rejects(outcome, { name: 'AbortError' });
});
