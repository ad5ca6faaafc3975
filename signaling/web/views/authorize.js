// An app asks to sign a person in: who asks, what it gets, and the way back to it. The server says where
// the browser goes; the page goes nowhere by itself.

import { call, open } from '../api.js';
import { busy, h } from '../dom.js';
import * as icons from '../icons.js';
import { confirmed, forgetConfirmation } from './confirm.js';
import { problemLine, showProblem } from './dialogs.js';

const PATH = '/oauth/authorize';
const leaveFor = (address) => location.replace(address);

/** The request of an app as it came with the address, or null. */
export const requestOfApp = () => (location.pathname === PATH ? location.search.slice(1) : null);

/**
 * Which app asks, before somebody is signed in: `{app}`, `{problem}`, or null when the browser goes
 * back to the app at once.
 */
export async function whoAsks(query) {
  try {
    const { app, redirect_to: back, unless_signed_in: silent } = await open('POST', '/v1/sso/requests', { query });
    if (!back && !silent) return { app };
    leaveFor(back ?? silent);
    return null;
  } catch (problem) {
    return { problem };
  }
}

/** A request that no app of this server makes: nobody is sent anywhere. */
export function refusedView(problem) {
  const error = problemLine('app-error');
  return {
    element: h('div', { class: 'center' }, h('section', { class: 'card signin' }, h('h1', { t: 'apps.refusedTitle' }), error)),
    title: 'apps.refusedTitle',
    entered: () => showProblem(error, problem),
  };
}

/** Whoever is signed in answers the app. */
export function authorizeView(query) {
  const error = problemLine('app-error');
  const body = h('div', { testid: 'app-question' }, h('p', { class: 'muted', role: 'status', t: 'apps.asking' }));
  const card = h('section', { class: 'card signin' }, h('div', { class: 'hero-mark' }, icons.logo()), body, error);
  const step = async (said) => {
    try {
      const answer = await call('POST', '/v1/sso/authorizations', { query, ...said });
      if (answer.redirect_to) return leaveFor(answer.redirect_to);
      const me = await call('GET', '/v1/me');
      return question(body, answer, me, step);
    } catch (problem) {
      const hindrance = problem.name === 'confirmation-required' ? await unshown(problem) : problem;
      if (!hindrance) return step(said);
      showProblem(error, hindrance);
      return body.replaceChildren(again(() => step(said)));
    }
  };
  return { element: h('div', { class: 'center' }, card), title: 'apps.askTitle', entered: () => step({}) };
}

/** The person shows anew who it is; what was shown before does not count. Null, or what is in the way. */
async function unshown(problem) {
  forgetConfirmation();
  try {
    return (await confirmed(await call('GET', '/v1/me'))) ? null : problem;
  } catch (hindrance) {
    return hindrance;
  }
}

function again(work) {
  const button = h('button', { class: 'primary wide', type: 'button', t: 'common.retry', testid: 'app-again' });
  button.addEventListener('click', () => busy(button, work));
  return button;
}

/** What an app gets, each in a line. */
export const gets = ({ first_party: own }, scopes) => [
  'apps.gets.openid', scopes.includes('profile') ? 'apps.gets.profile' : null, own ? 'apps.gets.session' : null,
].filter(Boolean);

/** Link to an app's policy, in a window that knows nothing of this one. */
export const policyLink = ({ policy_url: href, policy_version: version }) => h('a', {
  href, target: '_blank', rel: 'noopener noreferrer', t: 'apps.policy', tp: { version }, testid: 'app-policy',
});

function question(body, { app, scopes }, me, step) {
  // Never ticked beforehand: the name is the person's to give.
  const profile = h('input', { type: 'checkbox', id: 'app-profile', testid: 'app-profile' });
  const line = (key) => (key === 'apps.gets.profile'
    ? h('li', {}, profile, h('label', { for: 'app-profile', t: key })) : h('li', {}, h('span', { t: key })));
  const agree = h('button', { class: 'primary wide', type: 'button', t: 'apps.agree', testid: 'app-agree' });
  const refuse = h('button', { class: 'quiet wide', type: 'button', t: 'apps.refuse', testid: 'app-refuse' });
  const asks = scopes.includes('profile');
  agree.addEventListener('click', () => busy(agree, () => step({ decision: 'agree', profile: asks && profile.checked })));
  refuse.addEventListener('click', () => busy(refuse, () => step({ decision: 'refuse' })));
  const who = me.identifiers[0]?.masked;
  body.replaceChildren(
    h('h1', { t: 'apps.askWho', tp: { name: app.name }, testid: 'app-name' }),
    ...(who ? [h('p', { class: 'muted', t: 'apps.signedInAs', tp: { who } })] : []),
    h('p', { t: app.first_party ? 'apps.ownLead' : 'apps.otherLead' }),
    h('ul', { class: 'list', testid: 'app-gets' }, ...gets(app, scopes).map(line)),
    h('p', {}, policyLink(app)), agree, refuse);
  agree.focus();
}
