// Basic mode: what there is to see for who has not agreed to the policy, and the way to the rest.

import { call, open, send } from '../api.js';
import { busy, h, toast } from '../dom.js';
import { purposesInForce } from '../policies.js';
import * as session from '../session.js';
import { problemLine, purposeText, showProblem } from './dialogs.js';

/** Whether the signed-in account is in basic mode. */
export async function inBasicMode() {
  const { mode } = await call('GET', '/v1/sessions/basic');
  return mode === 'basic';
}

/** For an account whose holder withdrew the policy. */
export function basicView({ restored }) {
  const error = problemLine('basic-error');
  const text = h('div');
  const agree = h('button', { class: 'primary', t: 'basic.restore', testid: 'basic-restore' });
  const out = h('button', { class: 'quiet', t: 'account.signOutHere', testid: 'basic-sign-out' });
  let account = null;
  agree.addEventListener('click', () => busy(agree, async () => {
    try {
      account ??= await policy();
      await call('POST', '/v1/consents', { purpose: account.id, version: account.version, decision: 'granted' });
      toast('basic.restored');
      await restored();
    } catch (problem) {
      showProblem(error, problem);
    }
  }));
  out.addEventListener('click', () => busy(out, async () => {
    await call('DELETE', '/v1/sessions/current').catch(() => {});
    await session.forget();
    await restored();
  }));
  const element = h('section', { class: 'page narrow', testid: 'basic' }, h('div', { class: 'card' },
    h('h1', { t: 'basic.title' }), h('p', { t: 'basic.lead' }), text, error, h('div', { class: 'row end' }, out, agree)));
  const entered = async () => {
    account = await policy();
    text.replaceChildren(...purposeText(account));
    agree.focus();
  };
  return { element, title: 'basic.title', entered: () => entered().catch((problem) => showProblem(error, problem)) };
}

/** For who has no account: what is kept of people here, and why. */
export function browseView() {
  const error = problemLine('browse-error');
  const list = h('div', { testid: 'browse-purposes' });
  const element = h('section', { class: 'page narrow', testid: 'browse' }, h('div', { class: 'card' },
    h('h1', { t: 'basic.browse' }), h('p', { t: 'basic.browseLead' }), error, list,
    h('div', { class: 'row end' }, h('a', { href: '#/', class: 'button primary', t: 'basic.signIn', testid: 'browse-sign-in' }))));
  const entered = async () => {
    const opened = await open('POST', '/v1/sessions/basic');
    await send('GET', '/v1/sessions/basic', { token: opened.access_token });
    const purposes = await purposesInForce();
    list.replaceChildren(...purposes.map((item) => h('details', {}, h('summary', { class: 'mono' }, item.id), ...purposeText(item))));
  };
  return { element, title: 'basic.browse', entered: () => entered().catch((problem) => showProblem(error, problem)) };
}

async function policy() {
  return (await purposesInForce()).find((item) => item.id === 'account');
}
