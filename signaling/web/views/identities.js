// Logins at identity providers that belong to the account: which there are, adding, removing.

import { call } from '../api.js';
import { busy, h, say, toast } from '../dom.js';
import { moment } from '../i18n.js';
import { confirmed, keepConfirmation } from './confirm.js';
import { ask, showProblem } from './dialogs.js';
import { leave, providers } from './provider.js';

/** What the browser came back with from a provider, until the account view takes it. */
let waiting = null;

/** Keeps what the browser came back with for the account view. */
export const cameBack = (way) => {
  waiting = way;
};

/** Fills the list; `parts` has the list `identities` and the line `error`. */
export async function identitiesOf(parts) {
  await finish(parts);
  const [me, known, { items }] = await Promise.all([
    call('GET', '/v1/me'), providers(), call('GET', '/v1/me/identities'),
  ]);
  const name = (id) => known.find((provider) => provider.id === id)?.name ?? id;
  const lines = items.map((item) => identityLine(parts, me, item, name(item.provider)));
  const adding = known.map((provider) => addLine(parts, me, provider));
  const none = h('li', { class: 'muted', t: 'identities.none' });
  parts.identities.replaceChildren(...(lines.length || adding.length ? [...lines, ...adding] : [none]));
}

/** Ends a way that led to this account. */
async function finish(parts) {
  const way = waiting;
  waiting = null;
  if (!way) return;
  if (!way.answer) return say(parts.error, 'provider.cancelled');
  try {
    if (way.purpose === 'bind') {
      await call('POST', '/v1/me/identities', way.answer);
      toast('identities.bound');
    } else {
      keepConfirmation(await call('POST', '/v1/secure-windows/provider', way.answer));
      toast('identities.confirmed');
    }
  } catch (problem) {
    showProblem(parts.error, problem);
  }
}

function identityLine(parts, me, item, name) {
  const remove = h('button', { class: 'quiet small', t: 'identities.unbind', testid: `unbind-${item.provider}` });
  remove.addEventListener('click', () => busy(remove, () => tried(parts, async () => {
    if (!(await confirmed(me))) return;
    const done = await ask({
      title: 'identities.unbindTitle', titleParameters: { name }, testid: 'unbind', submitKey: 'identities.unbind', danger: true,
      body: [h('p', { t: 'identities.unbindLead' })],
      submit: () => call('DELETE', `/v1/me/identities/${encodeURIComponent(item.id)}`).then(() => true),
    });
    if (done) toast('identities.unbound');
    await identitiesOf(parts);
  })));
  return h('li', { testid: `identity-${item.provider}` }, h('div', { class: 'grow' }, h('strong', {}, name),
    h('p', { class: 'muted small', t: 'identities.since', tp: { when: moment(item.bound_at) } }),
    item.suspended ? h('p', { class: 'muted small', t: 'identities.suspended' }) : null), remove);
}

function addLine(parts, me, provider) {
  const add = h('button', { class: 'quiet small', t: 'identities.bind', testid: `bind-${provider.id}` });
  add.addEventListener('click', () => busy(add, () => tried(parts, async () => {
    if (await confirmed(me)) await leave(provider.id, 'bind');
  })));
  return h('li', {}, h('div', { class: 'grow' }, h('strong', {}, provider.name),
    provider.development ? h('p', { class: 'muted small', t: 'provider.development' }) : null), add);
}

async function tried(parts, work) {
  try {
    await work();
  } catch (problem) {
    showProblem(parts.error, problem);
  }
}
