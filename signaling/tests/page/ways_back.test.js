// What the page takes from the address when a carrier or an identity provider sends the browser back.

import assert from 'node:assert/strict';
import test from 'node:test';
import { returnedCode } from '../../web/views/carrier.js';
import { returned } from '../../web/views/provider.js';

/** A browser at `search` and `hash` with `kept` in its tab; `address` is what it shows afterwards. */
function browser(search, kept, hash = '') {
  const items = new Map(Object.entries(kept).map(([name, value]) => [name, JSON.stringify(value)]));
  const seen = { address: `/${search}${hash}`, items };
  globalThis.location = { search, hash, pathname: '/' };
  globalThis.history = { replaceState: (_state, _title, address) => { seen.address = address; } };
  globalThis.sessionStorage = { getItem: (name) => items.get(name) ?? null, removeItem: (name) => items.delete(name) };
  return seen;
}

const CARRIER = { 'sightline-carrier': { state: 's1', hash: '#/share/ABC' } };
const PROVIDER = { 'sightline-provider': { flow_id: 'f', state: 's2', purpose: 'login', provider: 'p', hash: '#/share/ABC' } };

test('a carrier’s code is taken once, and the invitation is found again', () => {
  const seen = browser('?code=c&state=s1', CARRIER);
  assert.equal(returnedCode(), 'c');
  assert.equal(seen.address, '/#/share/ABC');
  assert.equal(seen.items.size, 0);
});

test('a carrier’s refusal is a way given up, and leaves the address', () => {
  const seen = browser('?error=access_denied&state=s1', CARRIER);
  assert.equal(returnedCode(), '');
  assert.equal(seen.address, '/#/share/ABC');
});

test('a code or refusal that did not come from this tab’s own visit is not used', () => {
  const forged = browser('?code=c&state=forged', CARRIER, '#/devices');
  assert.equal(returnedCode(), null);
  assert.equal(forged.address, '/#/devices');
  const refused = browser('?error=x&state=forged', CARRIER);
  assert.equal(returnedCode(), null);
  assert.equal(refused.items.size, 1);
  browser('?code=c&state=s1', {});
  assert.equal(returnedCode(), null);
  browser('', CARRIER);
  assert.equal(returnedCode(), null);
});

test('a provider’s answer is taken once, and the invitation is found again', () => {
  const seen = browser('?code=c&state=s2&iss=i', PROVIDER);
  assert.deepEqual(returned(), { purpose: 'login', provider: 'p', answer: { flow_id: 'f', state: 's2', code: 'c', iss: 'i' } });
  assert.equal(seen.address, '/#/share/ABC');
  const refused = browser('?error=access_denied&state=s2', PROVIDER);
  assert.equal(returned().answer, null);
  assert.equal(refused.address, '/#/share/ABC');
});
