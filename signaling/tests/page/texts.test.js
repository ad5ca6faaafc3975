// The texts of the page: each once, in both languages, and one for every action of the operation log.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { en } from '../../web/lang/en.js';
import { zh } from '../../web/lang/zh.js';
import { GROUPS } from '../../web/views/operations.js';

const SERVER = new URL('../../../control-plane/src/', import.meta.url);
const PAGE = new URL('../../web/', import.meta.url);

/** Rust files under a folder that are part of the server. */
function sources(folder) {
  return readdirSync(new URL(folder, SERVER), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory()) return ['tests', 'contract'].includes(entry.name) ? [] : sources(`${path}/`);
    return path.endsWith('.rs') && entry.name !== 'tests.rs' ? [path] : [];
  });
}

/** What the server writes into the log; its storage names nothing else with a dot but database files. */
function actions() {
  const files = [...sources('storage/'), 'oplog.rs'];
  const named = files.flatMap((file) => [...readFileSync(new URL(file, SERVER), 'utf8').matchAll(/"([a-z_]+\.[a-z_]+)"/g)]);
  const written = new Set(named.map(([, action]) => action).filter((action) => !action.endsWith('.db')));
  // The only ones that are put together: a prefix and a kind.
  const kinds = /fn as_str[\s\S]*?\n {4}\}/.exec(readFileSync(new URL('attestation.rs', SERVER), 'utf8'))[0];
  for (const [, kind] of kinds.matchAll(/"([a-z_]+)"/g)) written.add(`attestation.${kind}`);
  return [...written].sort();
}

test('every action of the operation log has a text in both languages and a group to filter by', () => {
  const written = actions();
  assert.ok(written.length > 60 && written.includes('attestation.others'), `${written}`);
  for (const action of written) {
    assert.ok(en[`operations.did.${action}`], action);
    assert.ok(zh[`operations.did.${action}`], action);
    assert.ok(GROUPS.includes(action.split('.')[0]), action);
  }
});

test('no text is for an action that the server does not write', () => {
  const known = new Set(actions());
  const told = Object.keys(en).filter((key) => key.startsWith('operations.did.'));
  assert.deepEqual(told.filter((key) => !known.has(key.slice('operations.did.'.length))), []);
});

test('every group of the filter has its name', () => {
  for (const group of GROUPS) assert.ok(en[`operations.group.${group}`] && zh[`operations.group.${group}`], group);
});

test('both languages have the same keys and parameters, each key once', () => {
  const parameters = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en)) assert.deepEqual(parameters(zh[key]), parameters(en[key]), key);
  for (const language of ['en', 'zh']) {
    const files = [`${language}.js`, `${language}_account.js`];
    const keys = files.flatMap((file) => [...readFileSync(new URL(`lang/${file}`, PAGE), 'utf8').matchAll(/^ +'([^']+)':/gm)].map(([, key]) => key));
    assert.deepEqual(keys.filter((key, at) => keys.indexOf(key) !== at), [], language);
    assert.equal(keys.length, Object.keys(en).length, language);
  }
});
