// The operation log: what was done on the account, by whom and from where.

import { page, send } from '../api.js';
import { busy, h, hush } from '../dom.js';
import { has, moment } from '../i18n.js';
import * as session from '../session.js';
import { problemLine, showProblem } from './dialogs.js';

const DAY = 86_400;
/** Groups of actions by the part before the dot. */
export const GROUPS = [
  'session', 'login', 'terminal', 'device', 'bind_token', 'view', 'share', 'consent', 'attestation', 'account',
  'identifier', 'identity', 'password', 'passkey', 'profile', 'avatar', 'app', 'request',
];
const SPANS = [7, 30, 180];

/** The card: filter, list, further pages, export. */
export function operationsCard() {
  const error = problemLine('operations-error');
  const action = h('select', { id: 'operations-action', testid: 'operations-action' },
    h('option', { value: '', t: 'operations.all' }), ...GROUPS.map((name) => h('option', { value: name, t: `operations.group.${name}` })));
  const span = h('select', { id: 'operations-span', testid: 'operations-span' },
    ...SPANS.map((days) => h('option', { value: String(days), t: 'operations.days', tp: { days } })));
  const list = h('ul', { class: 'list', testid: 'operations' });
  const more = h('button', { class: 'quiet small', t: 'operations.more', testid: 'operations-more' });
  let next = null;
  const query = () => {
    const since = Math.floor(Date.now() / 1000) - Number(span.value) * DAY;
    return new URLSearchParams({ since: String(Math.max(0, since)), ...(action.value && { action: action.value }) });
  };
  // Requests so far: only the answer to the last one is shown, in whatever order they come.
  let turns = 0;
  const load = async (cursor) => {
    turns += 1;
    const turn = turns;
    hush(error);
    const asked = query();
    if (cursor) asked.set('cursor', cursor);
    // The cursor is one of the filter before.
    else more.hidden = true;
    try {
      const answer = await page('GET', `/v1/me/oplog?${asked}`);
      if (turn !== turns) return;
      if (!cursor) list.replaceChildren();
      list.append(...answer.items.map(line));
      if (!list.children.length) list.append(h('li', { class: 'muted', t: 'operations.none' }));
      next = answer.next ?? null;
      more.hidden = !next;
    } catch (problem) {
      if (turn === turns) showProblem(error, problem);
    }
  };
  const again = () => load(null);
  action.addEventListener('change', again);
  span.addEventListener('change', again);
  more.addEventListener('click', () => busy(more, () => load(next)));
  const exported = (format) => {
    const button = h('button', { class: 'quiet small', t: `operations.export.${format}`, testid: `export-${format}` });
    button.addEventListener('click', () => busy(button, () => {
      hush(error);
      return download(format, query()).catch((problem) => showProblem(error, problem));
    }));
    return button;
  };
  const element = h('div', {}, h('div', { class: 'row wrap' },
    h('label', { for: 'operations-action', t: 'operations.action' }), action,
    h('label', { for: 'operations-span', t: 'operations.span' }), span),
  error, list, h('div', { class: 'row spread wrap' }, more, h('div', { class: 'row end wrap' }, exported('csv'), exported('jsonl'))));
  more.hidden = true;
  return { element, load: again };
}

function line({ at, action, object, actor, network, result }) {
  const known = `operations.did.${action}`;
  const what = has(known) ? h('strong', { t: known }) : h('strong', { class: 'mono' }, action);
  const who = h('span', { t: `operations.actor.${actor ?? 'unknown'}` });
  return h('li', { data: { action, result } }, h('div', { class: 'grow' }, what,
    object ? h('span', { class: 'mono small' }, ` ${object}`) : null,
    h('p', { class: 'muted small' }, `${moment(at)} · `, who, network ? ` · ${network}` : '')),
  result === 'refused' ? h('span', { class: 'tag', t: 'operations.refused' }) : null);
}

/** Saves the log as a file, by a link that lives for one click. */
async function download(format, query) {
  query.set('format', format);
  const token = await session.accessToken(send);
  // The proof is for the path; the query is not part of it.
  const response = await send('GET', `/v1/me/oplog/export?${query}`, { token });
  const address = URL.createObjectURL(await response.blob());
  const link = h('a', { href: address, download: `operations.${format}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
