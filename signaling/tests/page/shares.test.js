// What the page reads of invitations, and how it names the clock of a share's hours.

import assert from 'node:assert/strict';
import test from 'node:test';
import { codeOf } from '../../web/views/invitation.js';
import { zoneName } from '../../web/views/share_terms.js';

test('a pasted link, a code, and a code in groups are the same invitation', () => {
  const code = 'ABCDEFGHIJKLMNOPQRSTUVWX23';
  for (const typed of [code, ` ${code.toLowerCase()} `, `https://cam.example/#/share/${code}`, 'ABCD-EFGH IJKL-MNOP-QRST-UVWX-23']) {
    assert.equal(codeOf(typed), code);
  }
  assert.equal(codeOf('  '), '');
});

test('a clock is named by how far it is ahead of UTC', () => {
  assert.equal(zoneName(0), 'UTC+00:00');
  assert.equal(zoneName(60), 'UTC+01:00');
  assert.equal(zoneName(330), 'UTC+05:30');
  assert.equal(zoneName(-570), 'UTC−09:30');
});
