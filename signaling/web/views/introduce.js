// The guest's side: this terminal gets to know the owner of somebody's camera.

import { busy, h, hush, say } from '../dom.js';
import * as icons from '../icons.js';
import { takePlace } from '../keys.js';
import { equal } from '../sealed/bytes.js';
import { Guest } from '../sealed/introduction.js';
import { pin, pinned, sealedTerminal } from '../sealed/terminal.js';
import { problemLine, showProblem } from './dialogs.js';
import { compare } from './viewers.js';

export function introduceView() {
  const error = problemLine('introduce-error');
  const code = h('p', { class: 'digits mono', testid: 'introduction-code' });
  const state = h('p', { class: 'hint', role: 'status', testid: 'introduction-state' });
  const again = h('button', { class: 'primary', t: 'introduce.start', testid: 'introduce-start' });
  const abort = new AbortController();
  const view = { error, code, state, signal: abort.signal };
  again.addEventListener('click', () => busy(again, () => introduce(view)));
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row heading' },
      h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
      h('h1', { t: 'introduce.title' })),
    error,
    h('div', { class: 'card' }, h('p', { class: 'hint', t: 'introduce.lead' }), code, state, again));
  return { element, title: 'introduce.title', leave: () => abort.abort() };
}

/** An introduction from beginning to end, in the words of `state`. With a share, its owner finds it. */
export async function introduce({ error, code, state, signal, share }) {
  hush(error);
  const tell = (key, parameters) => {
    say(state, `introduce.${key}`, parameters);
    state.dataset.state = key;
  };
  let guest = null;
  try {
    const terminal = await sealedTerminal();
    if (!terminal.kept) return tell('notKept');
    guest = await Guest.open(terminal, share);
    code.textContent = share ? '' : guest.code;
    tell(share ? 'askOwner' : 'tellOwner');
    const { digits, binding, camera } = await guest.meet(signal);
    code.textContent = '';
    // The guest must see for himself: what he remembers of the camera came through the server too.
    if (!(await compare(digits, 'viewers.compareOwner', () => !signal.aborted))) {
      await guest.end();
      return tell('different');
    }
    await trust(binding, camera);
    tell('waiting', { serial: binding.serial });
    if (!(await guest.outcome(signal))) return tell('refused');
    await takePlace(binding);
    return tell('done', { serial: binding.serial });
  } catch (problem) {
    code.textContent = '';
    // The owner need not wait for somebody who does not go on.
    guest?.end();
    if (signal.aborted) return null;
    tell('over');
    return showProblem(error, problem);
  }
}

/** Remembers the camera as its owner named it. */
async function trust({ serial, epoch }, camera) {
  // A camera that cannot seal has no identity to remember.
  if (camera.every((byte) => byte === 0)) return;
  const known = await pinned(serial);
  const same = known && known.epoch === epoch && equal(known.camera, camera);
  if (!same) await pin(serial, { epoch, camera, newest: 0 });
}
