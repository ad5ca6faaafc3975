// Introductions, against the vectors that the cameras' side checks too (relay/client/tests/vectors).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { commitmentOf, digitsOf, readReply, readReveal } from '../../web/sealed/introduction.js';

const file = new URL('../../../relay/client/tests/vectors/sightline.json', import.meta.url);
const { confirmation, terminals, generation } = JSON.parse(readFileSync(file));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (array) => Buffer.from(array).toString('hex');
const [reply, reveal] = [bytes(confirmation.reply), bytes(confirmation.reveal)];

test('commitment and digits are those of the vectors', async () => {
  assert.equal(hex(await commitmentOf(reveal)), confirmation.commitment);
  assert.equal(await digitsOf(reply, reveal), confirmation.code);
});

test('messages are read, and no others', () => {
  const { binding, camera, owner } = readReply(reply);
  assert.deepEqual(binding, { serial: 'CAM-1', epoch: 3n });
  assert.equal(hex(camera), generation.camera_public);
  assert.equal(hex(owner.signing), terminals[0].signing_public);
  const guest = readReveal(reveal);
  assert.equal(hex(guest.exchange), terminals[1].exchange_public);
  for (const [read, message] of [[readReply, reply], [readReveal, reveal]]) {
    assert.throws(() => read(message.subarray(1)), { reason: 'malformed' });
    assert.throws(() => read(message.subarray(0, -1)), { reason: 'malformed' });
    assert.throws(() => read(Uint8Array.from([...message, 0])), { reason: 'malformed' });
  }
});

test('a flip in either message changes the digits', async () => {
  const flipped = (message, at) => message.map((byte, i) => (i === at ? byte ^ 1 : byte));
  for (const at of [0, 20, reply.length - 1]) {
    assert.notEqual(await digitsOf(flipped(reply, at), reveal), confirmation.code);
  }
  for (const at of [0, 40, reveal.length - 1]) {
    assert.notEqual(await digitsOf(reply, flipped(reveal, at)), confirmation.code);
    assert.notEqual(hex(await commitmentOf(flipped(reveal, at))), confirmation.commitment);
  }
});
