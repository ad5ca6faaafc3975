// With which terminal a camera is added: told only by who agrees to that.

import { call } from '../api.js';
import { h } from '../dom.js';
import { CLIENT_TYPE, purposesInForce } from '../policies.js';
import { purposeText } from './dialogs.js';
import { terminalParts } from './terminal_name.js';

const PURPOSE = 'device.bind';

/**
 * What the dialog shows of it, and `tell`, which resolves to what is sent along: nothing without consent.
 * `needed` opens the question, for who has withdrawn the consent and can add no camera without it.
 */
export async function addedWith() {
  const [purposes, { items }] = await Promise.all([purposesInForce(), call('GET', '/v1/consents')]);
  const purpose = purposes.find(({ id }) => id === PURPOSE);
  const latest = items.filter((item) => item.purpose === PURPOSE).reduce((a, b) => (a && a.seq > b.seq ? a : b), null);
  let agreed = latest?.decision === 'granted';
  const withdrawn = latest?.decision === 'withdrawn';
  const box = h('input', { type: 'checkbox', id: 'bind-keep', testid: 'bind-keep' });
  const question = h('details', { testid: 'bind-with', open: withdrawn },
    h('summary', { t: 'bind.with' }), ...purposeText(purpose ?? {}),
    h('label', { class: 'check', for: 'bind-keep' }, box, h('span', { t: 'consent.agree' })));
  const element = agreed ? h('p', { class: 'hint', t: 'bind.withKept', testid: 'bind-with' }) : question;
  return {
    element,
    async tell() {
      if (!agreed && !box.checked) {
        if (!withdrawn) return {};
        this.needed();
        throw { key: 'bind.needsConsent' };
      }
      if (!agreed) await call('POST', '/v1/consents', { purpose: PURPOSE, version: purpose.version, decision: 'granted' });
      agreed = true;
      const { browser, system } = terminalParts();
      return { client: { client_type: CLIENT_TYPE, client_version: browser, os_version: system } };
    },
    needed() {
      if (agreed) element.replaceWith(question);
      agreed = false;
      question.open = true;
      box.focus();
    },
  };
}
