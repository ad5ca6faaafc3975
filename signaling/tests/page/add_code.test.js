import assert from 'node:assert/strict';
import test from 'node:test';
import { isAddText, parseAddText } from '../../web/add_code.js';

// The vector of control-plane/src/add_code.rs.
const TEXT = 'SL3:B:CAM-1:ABCDEFGH:TQOI';

test('both forms are read, the one with a check as it is', async () => {
  assert.deepEqual(await parseAddText(` ${TEXT}\n`), { serial: 'CAM-1', code: 'ABCDEFGH', transfer: false, payload: TEXT });
  assert.deepEqual(await parseAddText('SL1:CAM-1:ABCD-EFGH'), { serial: 'CAM-1', code: 'ABCD-EFGH', transfer: false, payload: null });
  assert.equal(isAddText(TEXT) && isAddText('SL1:a:b'), true);
});

test('a misread text is told, and what is none of ours is left alone', async () => {
  for (const text of [TEXT.replace('ABCD', 'ABDC'), TEXT.replace('TQOI', 'TQOJ'), 'SL3:B:CAM-1:ABCDEFGH', `${TEXT}A`, TEXT.toLowerCase().replace('sl3', 'SL3'), 'SL3:X:CAM-1:ABCDEFGH:TQOI']) {
    await assert.rejects(parseAddText(text), { key: 'bind.misread' }, text);
  }
  for (const text of ['', 'CAM-1', 'SL2:CAM-1:AAAA', 'https://example']) {
    assert.equal(await parseAddText(text), null, text);
    assert.equal(isAddText(text), false);
  }
});
