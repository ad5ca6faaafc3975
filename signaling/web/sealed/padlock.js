// The padlock: what is protected, and what is not.

import { h } from '../dom.js';
import * as icons from '../icons.js';

const SEALED = ['padlock.sealed', 'padlock.sealedSeen', 'padlock.sealedGuests', 'padlock.sealedFirst', 'padlock.sealedPage', 'padlock.sealedWatch'];
const OPEN = ['padlock.open', 'padlock.openHow'];

/** A label that opens to an explanation. */
export function padlock(sealed) {
  const mode = sealed ? 'sealed' : 'open';
  const lines = (sealed ? SEALED : OPEN).map((t) => h('li', { t }));
  return h('details', { class: 'padlock', testid: 'padlock', data: { mode } },
    h('summary', { class: `tag ${mode}` }, sealed ? icons.lock() : icons.unlocked(), h('span', { t: `live.${mode}` })),
    h('ul', { class: 'card padlock-text', testid: 'padlock-text' }, ...lines));
}
