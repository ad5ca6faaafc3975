// Unusual logins of the account: what was noticed, and agreeing to one that is held.

import { call } from '../api.js';
import { busy, h, toast } from '../dom.js';
import { moment } from '../i18n.js';
import { problemLine, showProblem } from './dialogs.js';

/** The section of the account view; empty when nothing was noticed. */
export function alertsSection() {
  const section = h('section', { class: 'card', testid: 'alerts' });
  section.hidden = true;
  const fill = async () => {
    const { items } = await call('GET', '/v1/me/alerts');
    section.hidden = items.length === 0;
    section.replaceChildren(h('h2', { t: 'alerts.title' }), h('p', { class: 'hint', t: 'alerts.lead' }),
      h('ul', { class: 'plain' }, ...items.map((item) => alertItem(item, fill))));
  };
  fill().catch(() => {});
  return section;
}

function alertItem(item, again) {
  const error = problemLine(`alert-${item.id}`);
  const agree = h('button', { type: 'button', t: 'alerts.agree', testid: 'alert-agree' });
  agree.addEventListener('click', () => busy(agree, async () => {
    try {
      await call('POST', `/v1/me/alerts/${item.id}/approval`);
      toast('alerts.agreed');
      await again();
    } catch (problem) {
      showProblem(error, problem);
    }
  }));
  const held = item.held && item.approved_at === null;
  const state = item.held ? h('p', { class: 'hint', t: held ? 'alerts.held' : 'alerts.approved' }) : null;
  return h('li', { testid: 'alert' }, h('strong', {}, moment(item.at)), ' ',
    ...item.kinds.flatMap((kind) => [h('span', { t: `alerts.${kind}` }), ' ']), state, held ? agree : null, error);
}
