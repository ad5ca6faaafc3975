// Apps of the account: which ones, since when, what they get, and removing them.

import { call } from '../api.js';
import { busy, h, toast } from '../dom.js';
import { moment } from '../i18n.js';
import { gets, policyLink } from './authorize.js';
import { ask, showProblem } from './dialogs.js';

/** Fills the list; `parts` has the list `apps` and the line `error`. */
export async function appsOf(parts) {
  const { items } = await call('GET', '/v1/me/apps');
  if (!items.length) return parts.apps.replaceChildren(h('li', { class: 'muted', t: 'apps.none' }));
  return parts.apps.replaceChildren(...items.map((item) => line(parts, item)));
}

function line(parts, item) {
  const remove = h('button', { class: 'quiet small', t: 'apps.remove', testid: `remove-app-${item.id}` });
  remove.addEventListener('click', () => busy(remove, async () => {
    try {
      const done = await ask({
        title: 'apps.removeTitle', titleParameters: { name: item.name }, testid: 'remove-app', submitKey: 'apps.remove', danger: true,
        body: [h('p', { t: 'apps.removeLead' })],
        submit: () => call('DELETE', `/v1/me/apps/${encodeURIComponent(item.id)}`).then(() => true),
      });
      if (done) toast('apps.removed');
      await appsOf(parts);
    } catch (problem) {
      showProblem(parts.error, problem);
    }
  }));
  const now = item.logins ? 'apps.logins' : 'apps.noLogins';
  return h('li', { testid: `app-${item.id}`, data: { logins: String(item.logins) } }, h('div', { class: 'grow' },
    h('strong', {}, item.name),
    h('p', { class: 'muted small', t: 'apps.since', tp: { when: moment(item.since) } }),
    h('p', { class: 'muted small', t: now, tp: { count: item.logins } }),
    h('ul', { class: 'small' }, ...gets(item, item.scopes).map((key) => h('li', { t: key }))),
    h('p', { class: 'small' }, policyLink(item))), remove);
}
