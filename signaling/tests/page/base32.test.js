import assert from 'node:assert/strict';
import test from 'node:test';
import { decode, grouped } from '../../web/base32.js';

const hex = (bytes) => bytes && Buffer.from(bytes).toString('hex');

test('the vectors of RFC 4648 decode', () => {
  const vectors = { '': '', MY: 'f', MZXQ: 'fo', MZXW6: 'foo', MZXW6YQ: 'foob', MZXW6YTB: 'fooba', MZXW6YTBOI: 'foobar' };
  for (const [text, plain] of Object.entries(vectors)) {
    assert.equal(Buffer.from(decode(text)).toString(), plain, text);
  }
});

test('case, dashes, spaces and lookalikes do not matter', () => {
  const plain = hex(decode('MZXW6YTBOI'));
  for (const text of ['mzxw-6ytb-oi', ' MZXW 6YTB\nOI ', 'MZXW6YT8O1', 'MZXW6YTB01', 'mzxw‐6ytb–oi']) {
    assert.equal(hex(decode(text)), plain, text);
  }
});

test('what is not base32 is refused', () => {
  for (const text of ['MZXW6YTBO!', 'MZXW6YTB9I', 'A', 'AAA', 'AAAAAA', 'MZ', 'MY======']) {
    assert.equal(decode(text), null, text);
  }
});

test('typing is shown in groups of four', () => {
  assert.equal(grouped('mzxw6ytboi'), 'MZXW-6YTB-OI');
  assert.equal(grouped('--'), '');
});
