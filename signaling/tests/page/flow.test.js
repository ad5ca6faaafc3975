import assert from 'node:assert/strict';
import test from 'node:test';
import { MAX_STEPS, pause, stepFor, through } from '../../web/flow.js';
import { figures, read } from '../../web/stats.js';
import { en } from '../../web/lang/en.js';
import { zh } from '../../web/lang/zh.js';

const problem = (name) => Object.assign(new Error(name), { name });

test('each refusal of the gate leads to its own step, in whatever order they come', async () => {
  const missing = ['device-key-required', 'sms-required', 'consent-required'];
  const done = [];
  const step = (name) => async () => Boolean(done.push(name) && missing.shift());
  const result = await through(
    async () => {
      if (missing.length) throw problem(missing[0]);
      return 'in';
    },
    { 'prove-key': step('key'), 'confirm-sms': step('sms'), consent: step('consent') },
  );
  assert.equal(result, 'in');
  assert.deepEqual(done, ['key', 'sms', 'consent']);
});

test('giving up a step ends quietly, and a problem without a step is shown', async () => {
  const refuse = (name) => async () => {
    throw problem(name);
  };
  assert.equal(await through(refuse('sms-required'), { 'confirm-sms': async () => false }), null);
  await assert.rejects(through(refuse('wrong-protection'), {}), { name: 'wrong-protection' });
});

test('a step that has to wait, as for the next SMS, makes the whole way wait', async () => {
  const refuse = (name) => async () => {
    throw problem(name);
  };
  const waited = [];
  const wait = (why) => {
    waited.push(why.name);
    throw Object.assign(why, { wait: true });
  };
  const steps = { 'confirm-sms': refuse('rate-limited'), wait };
  await assert.rejects(through(refuse('sms-required'), steps), { name: 'rate-limited', wait: true });
  assert.deepEqual(waited, ['rate-limited']);
  await assert.rejects(through(refuse('sms-required'), { 'confirm-sms': refuse('internal'), wait }), { name: 'internal' });
});

test('a server that refuses for ever is asked a bounded number of times', async () => {
  let asked = 0;
  const act = async () => {
    asked += 1;
    throw problem('sms-required');
  };
  await assert.rejects(through(act, { 'confirm-sms': async () => true }), { name: 'sms-required' });
  assert.equal(asked, MAX_STEPS + 1);
});

test('the pause grows to its bound and is spread', () => {
  assert.equal(pause(0, 0.5), 0.5);
  assert.equal(pause(1, 0.5), 1);
  assert.equal(pause(50, 0.5), 10);
  assert.ok(pause(50, 1) <= 12.5 && pause(50, 0) >= 7.5);
});

test('every step has a text, and both languages have the same keys and parameters', () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  const parameters = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const key of Object.keys(en)) assert.deepEqual(parameters(zh[key]), parameters(en[key]), key);
  for (const name of ['login-required', 'device-key-required', 'sms-required', 'consent-required', 'not-live']) {
    assert.notEqual(stepFor({ name }), 'show');
    assert.ok(en[`problem.${name}`], name);
  }
  assert.equal(stepFor({ name: 'constructor' }), 'show');
});

test('figures are what happened between two readings', () => {
  const report = (timestamp, bytesReceived) => [
    { id: 'c', type: 'codec', mimeType: 'video/H264' },
    { id: 'p', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.02 },
    { id: 'v', type: 'inbound-rtp', kind: 'video', timestamp, bytesReceived, packetsLost: 5, packetsReceived: 95, codecId: 'c',
      framesPerSecond: 25, frameWidth: 640, frameHeight: 360, jitter: 0.003, jitterBufferDelay: timestamp / 1000, jitterBufferEmittedCount: timestamp / 50 },
  ];
  const [before, now] = [read(report(1000, 0)), read(report(3000, 250_000))];
  const shown = figures(before, now);
  assert.equal(shown.kbps, 1000);
  assert.equal(shown.lossShare, 0.05);
  assert.equal(shown.rttMs, 20);
  assert.equal(Math.round(shown.bufferMs), 50);
  assert.equal(shown.codec, 'H264');
  assert.equal(shown.size, '640 × 360');
  assert.equal(shown.moving, true);
  assert.equal(figures(now, now).moving, false);
});
