// Messages of the server to the account: what happened that its holder should know.

import { page } from '../api.js';
import { busy, h, hush } from '../dom.js';
import { moment } from '../i18n.js';
import { problemLine, showProblem } from './dialogs.js';

/** Messages of one request. */
const AT_ONCE = 5;
/** Kinds whose subject is a camera's serial number. */
const OF_CAMERA = /^(device|key|sealing|share)_/;

/** The card's inside: the newest messages, and older ones on request. */
export function messagesCard() {
  const error = problemLine('messages-error');
  const list = h('ul', { class: 'list', testid: 'messages' });
  const more = h('button', { class: 'quiet small', t: 'messages.more', testid: 'messages-more', hidden: true });
  let next = null;
  const load = async (cursor) => {
    hush(error);
    try {
      const asked = new URLSearchParams({ limit: String(AT_ONCE), ...(cursor && { cursor }) });
      const answer = await page('GET', `/v1/messages?${asked}`);
      if (!cursor) list.replaceChildren();
      list.append(...answer.items.map(line));
      if (!list.children.length) list.append(h('li', { class: 'muted', t: 'messages.none' }));
      next = answer.next ?? null;
      more.hidden = !next;
    } catch (problem) {
      showProblem(error, problem);
    }
  };
  more.addEventListener('click', () => busy(more, () => load(next)));
  const element = h('div', {}, error, list, h('div', { class: 'row' }, more));
  return { element, load: () => load(null) };
}

/** The text comes in both languages; the style sheet shows the one of the page. */
function line({ kind, about, at, text }) {
  return h('li', { testid: 'message', data: { kind } }, h('div', { class: 'grow' },
    h('p', { class: 'both' }, h('span', { lang: 'en' }, text.en), h('span', { lang: 'zh-CN' }, text.zh)),
    h('p', { class: 'muted small' }, moment(at), OF_CAMERA.test(kind) && about ? h('span', { class: 'mono' }, ` · ${about}`) : null)));
}
