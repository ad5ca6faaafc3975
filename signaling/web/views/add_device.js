// Every way to add a device: what is printed on it, a token for a camera that shows no code, and a
// transfer code of its present owner.

import { call } from '../api.js';
import { busy, h, hush, say, toast, translateAll } from '../dom.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import { pictureCode } from '../picture_code.js';
import { bindDialog } from './bind.js';
import { problemLine, showProblem } from './dialogs.js';

/** Pause between looks at what became of a token, milliseconds. */
const LOOK_MS = 1500;

export function addDeviceView(context) {
  const error = problemLine('add-error');
  const attempt = async (work) => {
    hush(error);
    try {
      await work();
    } catch (problem) {
      if (problem.key) say(error, problem.key);
      else showProblem(error, problem);
    }
  };
  const added = () => {
    toast('bind.done');
    context.go('#/devices');
  };
  const token = tokenCard(attempt, added);
  const printed = h('button', { class: 'primary', t: 'add.printed', testid: 'add-printed' });
  printed.addEventListener('click', () => busy(printed, () => attempt(async () => {
    if (await bindDialog(context.server)) added();
  })));
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row heading' },
      h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
      h('h1', { t: 'add.title' })),
    error,
    h('div', { class: 'card' }, h('h2', { t: 'add.printedTitle' }), h('p', { class: 'hint', t: 'add.printedLead' }), printed),
    token.element);
  return { element, title: 'add.title', leave: token.leave };
}

/** A token that the camera presents by itself. */
function tokenCard(attempt, added) {
  const place = h('div', { testid: 'token-place' });
  const make = h('button', { class: 'primary', t: 'add.tokenMake', testid: 'token-make' });
  let timer = 0;
  // The token that is shown; null when there is none, or when it is being cancelled.
  let shown = null;
  let left = false;
  const leave = () => {
    left = true;
    clearTimeout(timer);
    place.replaceChildren();
  };
  const look = async (id) => {
    shown = id;
    const state = await call('GET', `/v1/bind-tokens/${encodeURIComponent(id)}`).catch((problem) => {
      // Over its time; anything else is asked again.
      if (problem.name === 'bind-token-unknown') return null;
      return {};
    });
    if (left || shown !== id) return;
    if (!state) return void place.replaceChildren(h('p', { class: 'hint', t: 'add.tokenOver', testid: 'token-over' }));
    if (state.used) return added();
    timer = setTimeout(look, LOOK_MS, id);
  };
  const show = (made) => {
    const end = h('button', { class: 'quiet', t: 'common.cancel', testid: 'token-end' });
    end.addEventListener('click', () => busy(end, () => attempt(async () => {
      clearTimeout(timer);
      shown = null;
      try {
        await call('DELETE', `/v1/bind-tokens/${encodeURIComponent(made.id)}`);
      } catch (problem) {
        // It is still open, so what becomes of it still matters.
        look(made.id);
        throw problem;
      }
      place.replaceChildren();
    })));
    place.replaceChildren(
      h('p', { class: 'hint', t: 'add.tokenUse' }),
      h('output', { class: 'mono token', testid: 'token', 'aria-live': 'polite' }, made.token),
      pictureCode(made.picture, 'add.tokenPicture') ?? '',
      h('p', { class: 'muted small', t: 'add.until', tp: { when: moment(made.expires_at) } }),
      h('p', { class: 'muted', t: 'add.tokenWaiting', role: 'status' }), end);
    translateAll(place);
  };
  make.addEventListener('click', () => busy(make, () => attempt(async () => {
    const made = await call('POST', '/v1/bind-tokens', {});
    clearTimeout(timer);
    show(made);
    await look(made.id);
  })));
  const element = h('div', { class: 'card' }, h('h2', { t: 'add.tokenTitle' }), h('p', { class: 'hint', t: 'add.tokenLead' }), make, place);
  return { element, leave };
}
