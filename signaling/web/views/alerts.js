// Unusual logins of the account: what was noticed, where, and agreeing to one that is held.

import { call } from '../api.js';
import { busy, h, hush, toast } from '../dom.js';
import { moment } from '../i18n.js';
import { problemLine, showProblem } from './dialogs.js';

/** The section of the account view; empty when nothing was noticed. */
export function alertsSection() {
  const error = problemLine('alerts-error');
  const list = h('ul', { class: 'plain' });
  const section = h('section', { class: 'card', testid: 'alerts' },
    h('h2', { t: 'alerts.title' }), h('p', { class: 'hint', t: 'alerts.lead' }), error, list);
  section.hidden = true;
  const fill = async () => {
    hush(error);
    try {
      const [{ items }, terminals] = await Promise.all([call('GET', '/v1/me/alerts'), call('GET', '/v1/me/terminals')]);
      const known = new Map(terminals.items.map((terminal) => [terminal.id, terminal]));
      section.hidden = items.length === 0;
      list.replaceChildren(...items.map((item) => alertItem(item, known.get(item.terminal), fill)));
    } catch (problem) {
      // What cannot be looked at is not the same as nothing.
      section.hidden = false;
      showProblem(error, problem);
    }
  };
  fill();
  return section;
}

/** `terminal` is missing when it is not signed in, as one whose login is held. */
function alertItem(item, terminal, again) {
  const error = problemLine(`alert-${item.id}`);
  const agree = h('button', { type: 'button', t: 'alerts.agree', testid: 'alert-agree' });
  agree.addEventListener('click', () => busy(agree, async () => {
    hush(error);
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
  const where = terminal
    ? h('p', { class: 'muted small', testid: 'alert-terminal' }, [terminal.name, terminal.network].filter(Boolean).join(' · '))
    : h('p', { class: 'muted small', t: 'alerts.notSignedIn', testid: 'alert-terminal' });
  return h('li', { testid: 'alert' }, h('strong', {}, moment(item.at)), ' ',
    ...item.kinds.flatMap((kind) => [h('span', { t: `alerts.${kind}` }), ' ']), where, state, held ? agree : null, error);
}
