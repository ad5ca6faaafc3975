// Ways to an identity provider: the browser goes there and comes back with a code that only the server
// can trade. What must come back with it is kept for this tab alone.

import { call, open } from '../api.js';
import { busy, h, say } from '../dom.js';
import * as session from '../session.js';
import { problemLine, showProblem } from './dialogs.js';

const WAY = 'sightline-provider';
/** Views that a person was sent to and has to find again, whoever they sign in as. */
const INVITED = /^#\/(share|meet)\b/;
/** Where providers send the browser back to. */
const back = () => `${location.origin}/`;

/** The providers that people sign in by. */
export async function providers() {
  return (await open('GET', '/v1/identity-providers')).items;
}

/** Sends the browser to a provider. `purpose`: `login`, `bind` or `confirm`. */
export async function leave(provider, purpose) {
  const wish = { provider, redirect_uri: back() };
  const { flow_id, authorize_url, state } = purpose === 'login'
    ? await open('POST', '/v1/identity-flows', wish)
    : await call('POST', '/v1/me/identity-flows', { ...wish, purpose });
  sessionStorage.setItem(WAY, JSON.stringify({ flow_id, state, purpose, provider, hash: location.hash }));
  location.assign(authorize_url);
}

/**
 * What the browser came back with, once: `{ purpose, provider, answer }`, without an answer when the
 * person or the provider refused; null when it does not come from a way that began here.
 */
export function returned() {
  const query = new URLSearchParams(location.search);
  const kept = sessionStorage.getItem(WAY);
  if (!kept || !query.has('state')) return null;
  const { flow_id, state, purpose, provider, hash } = JSON.parse(kept);
  // An answer to something else; the way itself may still be under way.
  if (query.get('state') !== state) return null;
  sessionStorage.removeItem(WAY);
  // Providers send back to an address without a view; an invitation would be lost.
  history.replaceState(null, '', location.pathname + (hash || location.hash));
  const code = query.get('code');
  const iss = query.get('iss');
  if (code === null) return { purpose, provider, answer: null };
  return { purpose, provider, answer: { flow_id, state, code, ...(iss === null ? {} : { iss }) } };
}

/** Buttons of all providers, or null where the server has none. */
export async function providerButtons() {
  const known = await providers();
  if (!known.length) return null;
  const error = problemLine('provider-error');
  const button = (provider) => {
    const made = h('button', {
      class: 'wide', type: 'button', t: 'provider.signIn', tp: { name: provider.name }, testid: `provider-${provider.id}`,
    });
    made.addEventListener('click', () => busy(made, async () => {
      try {
        await leave(provider.id, 'login');
      } catch (problem) {
        showProblem(error, problem);
      }
    }));
    return made;
  };
  const standIn = known.some((provider) => provider.development);
  return h('div', { class: 'carrier', testid: 'providers' }, ...known.map(button),
    h('p', { class: 'hint', t: standIn ? 'provider.development' : 'provider.hint' }), error);
}

/** What the sign-in shows while the answer is traded; `done` when somebody is signed in. */
export function providerStep({ answer }, terminalName, { done, otherwise }) {
  const error = problemLine('signin-error');
  const waiting = h('p', { t: 'provider.trading', role: 'status' });
  const other = h('button', {
    class: 'primary wide', type: 'button', t: 'provider.otherwise', testid: 'provider-otherwise', on: { click: otherwise },
  });
  other.hidden = true;
  const offerOther = () => {
    waiting.hidden = true;
    other.hidden = false;
    other.focus();
  };
  const trade = async () => {
    try {
      const made = await open('POST', '/v1/sessions/provider', { ...answer, terminal_name: terminalName, client_type: 'web' });
      await session.keep(made);
      // Nobody can be told anything before there is a number or address: that comes next.
      if (made.new_account && !INVITED.test(location.hash)) location.hash = '#/account';
      await done();
    } catch (problem) {
      showProblem(error, problem);
      offerOther();
    }
  };
  if (answer) busy(other, trade);
  else {
    say(error, 'provider.cancelled');
    // Once it stands on the page.
    queueMicrotask(offerOther);
  }
  return h('div', {}, waiting, error, other);
}
