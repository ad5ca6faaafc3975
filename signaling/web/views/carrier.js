// Signing in by the phone's own line: the browser goes to the carrier and comes back with a code that
// only the server can trade.

import { open } from '../api.js';
import { busy, h, say } from '../dom.js';
import { CLIENT_TYPE } from '../policies.js';
import * as session from '../session.js';
import { problemLine, showProblem } from './dialogs.js';

const WAY = 'sightline-carrier';
/** Where the carrier sends the browser back to. */
const back = () => `${location.origin}/`;

/** The button, or null where the server has no carrier. */
export async function carrierButton() {
  const { carrier } = await open('GET', '/v1/carrier');
  if (!carrier?.authorize) return null;
  const button = h('button', {
    class: 'wide', type: 'button', t: 'carrier.signIn', tp: { name: carrier.name }, testid: 'carrier',
  });
  button.addEventListener('click', () => {
    const state = crypto.randomUUID();
    sessionStorage.setItem(WAY, JSON.stringify({ state, hash: location.hash }));
    const at = new URL(carrier.authorize);
    const wish = {
      response_type: 'code', client_id: carrier.client_id, scope: carrier.scope, redirect_uri: back(), state,
    };
    for (const [name, value] of Object.entries(wish)) at.searchParams.set(name, value);
    location.assign(at);
  });
  const hint = carrier.development ? 'carrier.development' : 'carrier.hint';
  return h('div', { class: 'carrier' }, button, h('p', { class: 'hint', t: hint, testid: 'carrier-hint' }));
}

/**
 * The code that the browser came back with, once; empty when the person or the carrier refused, null
 * when it did not come from the carrier.
 */
export function returnedCode() {
  const query = new URLSearchParams(location.search);
  const [code, state] = [query.get('code'), query.get('state')];
  if (state === null || (code === null && !query.has('error'))) return null;
  const { state: expected, hash = '' } = JSON.parse(sessionStorage.getItem(WAY) ?? '{}');
  const ours = state === expected;
  // Somebody else's refusal is not the carrier's to take out of the address.
  if (code === null && !ours) return null;
  sessionStorage.removeItem(WAY);
  // The carrier sends back to an address without a view; an invitation would be lost.
  history.replaceState(null, '', location.pathname + ((ours && hash) || location.hash));
  return ours ? code ?? '' : null;
}

/** What the sign-in shows while the code is traded, or was refused; `done` when somebody is signed in. */
export function carrierStep(code, terminalName, { done, otherwise }) {
  const error = problemLine('signin-error');
  const other = h('button', {
    class: 'primary wide', type: 'button', t: 'carrier.otherwise', testid: 'carrier-otherwise', on: { click: otherwise },
  });
  const waiting = h('p', { t: 'carrier.trading', role: 'status' });
  other.hidden = true;
  const offerOther = () => {
    waiting.hidden = true;
    other.hidden = false;
    other.focus();
  };
  const trade = async () => {
    try {
      await session.keep(await open('POST', '/v1/sessions/carrier', {
        token: code, redirect_uri: back(), terminal_name: terminalName, client_type: CLIENT_TYPE,
      }));
      await done();
    } catch (problem) {
      showProblem(error, problem);
      offerOther();
    }
  };
  if (code) busy(other, trade);
  else {
    say(error, 'provider.cancelled');
    // Once it stands on the page.
    queueMicrotask(offerOther);
  }
  return h('div', {}, waiting, error, other);
}
