import assert from 'node:assert/strict';
import test from 'node:test';
import { isCheckOf, isPictureText, parseShown } from '../../web/shown_secret.js';

// The vector of relay/client/src/secret/shown.rs: bytes 0 to 19, and a camera of 32 times 7.
const TEXT = 'AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT-LFOT-ITKS-SSOP-UQSH';
const SECRET = Array.from({ length: 20 }, (_, at) => at);
const CAMERA = new Uint8Array(32).fill(7);

test('typed and scanned forms say the same', async () => {
  for (const text of [TEXT, ` ${TEXT.toLowerCase()}\n`, `SL2:CAM-1:${TEXT.replaceAll('-', '')}`]) {
    const { secret, check } = parseShown(text, 'CAM-1');
    assert.deepEqual([...secret], SECRET, text);
    assert.equal(await isCheckOf(check, CAMERA), true);
    assert.equal(await isCheckOf(check, new Uint8Array(32).fill(8)), false);
  }
});

test('the secret alone has no check', () => {
  const { secret, check } = parseShown(TEXT.slice(0, 39), 'CAM-1');
  assert.deepEqual([...secret], SECRET);
  assert.equal(check, null);
});

test('another camera’s picture code and what is no secret are refused', () => {
  assert.throws(() => parseShown(`SL2:CAM-2:${TEXT}`, 'CAM-1'), { key: 'secret.otherCamera' });
  for (const text of ['', 'AAAQ', `SL1:CAM-1:${TEXT}`, 'SL2:CAM-1', 'SL2:CAM-1:']) {
    assert.equal(parseShown(text, 'CAM-1'), null, text);
  }
});

test('a picture code is told by its beginning', () => {
  assert.equal(isPictureText(' SL2:CAM-1:AAAA'), true);
  assert.equal(isPictureText(TEXT), false);
});
