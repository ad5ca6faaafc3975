// Basic mode: what there is to see for who has not agreed to the policy, and the way to the rest.

import { Problem, call, open, send } from '../api.js';
import { busy, h, hush, toast } from '../dom.js';
import { purposesInForce } from '../policies.js';
import { problemLine, purposeText, showProblem } from './dialogs.js';
import { signOut } from './sign_out.js';

/** Whether the signed-in account is in basic mode. */
export async function inBasicMode() {
  const { mode } = await call('GET', '/v1/sessions/basic');
  return mode === 'basic';
}

/** For an account whose holder does not agree to the policy: not yet, or not any more. `changed`: that is over. */
export function basicView({ changed }) {
  const error = problemLine('basic-error');
  const text = h('div');
  const agree = h('button', { class: 'primary', t: 'basic.restore', testid: 'basic-restore' });
  const out = h('button', { class: 'quiet', t: 'account.signOutHere', testid: 'basic-sign-out' });
  let account = null;
  const show = async () => {
    const inForce = await policy();
    text.replaceChildren(...purposeText(inForce));
    account = inForce;
  };
  agree.addEventListener('click', () => busy(agree, async () => {
    hush(error);
    try {
      // They could not be had before.
      if (!account) return await show();
      await call('POST', '/v1/consents', { purpose: account.id, version: account.version, decision: 'granted' });
      toast('basic.restored');
      return await changed();
    } catch (problem) {
      // The words have changed since they were shown.
      if (problem.name === 'purpose-changed') account = null;
      return showProblem(error, problem);
    }
  }));
  out.addEventListener('click', () => busy(out, async () => {
    await signOut();
    toast('account.signedOut');
    await changed();
  }));
  const element = h('section', { class: 'page narrow', testid: 'basic' }, h('div', { class: 'card' },
    h('h1', { t: 'basic.title' }), h('p', { t: 'basic.lead' }), text, error, h('div', { class: 'row end' }, out, agree)));
  const entered = async () => {
    // Nobody agrees to words that are not there yet.
    await busy(agree, show);
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
  const found = (await purposesInForce()).find((item) => item.id === 'account');
  if (!found) throw new Problem('unavailable');
  return found;
}
