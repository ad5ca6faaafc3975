// The vectors are verified by the server's own verifier too (src/tests/page.rs).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { base64url, fromBase64url, proof, thumbprint } from '../../web/dpop.js';
import { answer, authKey, isOurs, parse } from '../../web/secret.js';

const vectors = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url)));
const expected = () => ({ serverName: 'sightline.test', terminal: vectors.dpop.thumbprint, serial: 'CAM-1', channel: 0 });
const encoded = (text) => new TextEncoder().encode(text);

test('a proof has the header and claims of the vector, and its key signs it', async () => {
  const { jwk, request } = vectors.dpop;
  const p256 = { name: 'ECDSA', namedCurve: 'P-256' };
  const other = await crypto.subtle.generateKey(p256, false, ['sign', 'verify']);
  const made = await proof({ privateKey: other.privateKey, jwk }, request);
  const parts = made.split('.');
  assert.deepEqual(parts.slice(0, 2), vectors.dpop.proof.split('.').slice(0, 2));
  const signed = encoded(parts.slice(0, 2).join('.'));
  const es256 = { name: 'ECDSA', hash: 'SHA-256' };
  assert.ok(await crypto.subtle.verify(es256, other.publicKey, fromBase64url(parts[2]), signed));
});

test('two proofs never share an id', async () => {
  const p256 = { name: 'ECDSA', namedCurve: 'P-256' };
  const { privateKey } = await crypto.subtle.generateKey(p256, false, ['sign']);
  const key = { privateKey, jwk: vectors.dpop.jwk };
  const id = async () => {
    const made = await proof(key, { method: 'GET', url: 'https://a.test/', now: 1 });
    return JSON.parse(Buffer.from(made.split('.')[1], 'base64url')).jti;
  };
  assert.notEqual(await id(), await id());
});

test('the thumbprint is that of the vector', async () => {
  assert.equal(await thumbprint(vectors.dpop.jwk), vectors.dpop.thumbprint);
});

test('a device secret signs the challenge of the vector, and cannot be read back', async () => {
  const { secret, message, signature } = vectors.key_proof;
  const bytes = parse(secret);
  const key = await authKey(bytes);
  assert.ok(bytes.every((byte) => byte === 0), 'the bytes are wiped');
  assert.equal(key.extractable, false);
  assert.equal(await answer(key, base64url(encoded(message)), expected()), signature);
});

test('a challenge for another server, terminal, device or purpose is not signed', async () => {
  const key = await authKey(parse(vectors.key_proof.secret));
  const lines = vectors.key_proof.message.split('\n');
  for (const at of [0, 1, 3, 4, 5]) {
    const changed = lines.with ? lines.with(at, 'x') : lines.map((line, i) => (i === at ? 'x' : line));
    const message = encoded(changed.join('\n'));
    assert.equal(isOurs(message, expected()), false, `line ${at}`);
    await assert.rejects(answer(key, base64url(message), expected()));
  }
  assert.equal(isOurs(encoded(`${lines.join('\n')}\nmore`), expected()), false);
});

test('a secret has 16 to 64 bytes', () => {
  assert.equal(parse('A'.repeat(24)), null);
  assert.equal(parse('A'.repeat(26)).length, 16);
  assert.equal(parse('A'.repeat(103)).length, 64);
  assert.equal(parse('A'.repeat(104)), null);
});
