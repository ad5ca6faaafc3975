// The account: who, which terminals, which consents, which keys are kept here.

import { call } from '../api.js';
import { busy, h, toast } from '../dom.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import { devicesWithKey, forgetAllDeviceKeys, forgetDeviceKey, terminalKey } from '../keys.js';
import { purposesInForce } from '../policies.js';
import * as session from '../session.js';
import { appsOf } from './apps.js';
import { alertsSection } from './alerts.js';
import { forgetConfirmation } from './confirm.js';
import { identitiesOf } from './identities.js';
import { ask, problemLine, purposeText, showProblem } from './dialogs.js';
import { operationsCard } from './operations.js';
import { policyLines } from './policy_lines.js';
import { profileOf as optionalOf } from './profile.js';
import { securityOf } from './security.js';

export function accountView(context) {
  const error = problemLine('account-error');
  const profile = h('dl', { class: 'facts', testid: 'profile' });
  const terminals = h('ul', { class: 'list', testid: 'terminals' });
  const consents = h('ul', { class: 'list', testid: 'consents' });
  const policies = h('ul', { class: 'list', testid: 'policies' });
  const keys = h('ul', { class: 'list', testid: 'device-keys' });
  const out = h('button', { class: 'quiet', t: 'account.signOutHere', testid: 'sign-out' });
  const apps = h('ul', { class: 'list', testid: 'apps' });
  const security = h('ul', { class: 'list', testid: 'security' });
  const identities = h('ul', { class: 'list', testid: 'identities' });
  const partial = h('p', { class: 'assurance', role: 'status', t: 'account.partial', testid: 'account-partial', hidden: true });
  const profileCard = h('div', { testid: 'profile-form' });
  const operations = operationsCard();
  const basic = h('button', { class: 'quiet small', t: 'basic.withdraw', testid: 'basic-withdraw' });
  basic.addEventListener('click', () => withdrawPolicy(context));
  const parts = {
    profile, security, identities, partial, apps, terminals, consents, policies, keys, error, profileCard, operations,
  };
  out.addEventListener('click', () => busy(out, async () => {
    await call('DELETE', '/v1/sessions/current').catch(() => {});
    await session.forget();
    forgetConfirmation();
    await forgetAllDeviceKeys();
    toast('account.signedOut');
    context.go('#/devices');
  }));
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row spread heading' }, h('h1', { t: 'account.title' }), out), error, partial,
    card('account.profile', null, profile),
    card('security.title', 'security.lead', security),
    card('identities.title', 'identities.lead', identities),
    card('apps.title', 'apps.lead', apps),
    card('account.terminals', 'account.terminalsLead', terminals),
    alertsSection(),
    card('profile.title', 'profile.lead', profileCard),
    card('account.consents', null, h('div', {}, consents, h('div', { class: 'row end' }, basic),
      h('h3', { t: 'policy.title' }), h('p', { class: 'hint', t: 'policy.lead' }), policies)),
    card('operations.title', 'operations.lead', operations.element),
    card('account.keys', 'account.keysLead', keys));
  return { element, title: 'account.title', entered: () => load(parts) };
}

const card = (title, lead, body) => h('div', { class: 'card' }, h('h2', { t: title }),
  lead ? h('p', { class: 'hint', t: lead }) : null, body);

async function load(parts) {
  const fill = async (work) => work(parts).catch((problem) => showProblem(parts.error, problem));
  const log = ({ operations }) => operations.load();
  const fillers = [profileOf, securityOf, identitiesOf, appsOf, terminalsOf, consentsOf, keysOf, optionalOf, log];
  await Promise.all(fillers.map(fill));
}

/** Withdrawing everything is asked about once more: it ends all that is running. */
async function withdrawPolicy(context) {
  const done = await ask({
    title: 'basic.withdrawTitle', testid: 'basic-confirm', submitKey: 'basic.withdraw', danger: true,
    body: [h('p', { t: 'basic.withdrawLead' })],
    submit: () => call('DELETE', '/v1/consents/account').then(() => true),
  });
  if (done) await context.modeChanged();
}

async function profileOf({ profile }) {
  const me = await call('GET', '/v1/me');
  const { thumbprint } = await terminalKey();
  const fact = (key, value) => [h('dt', { t: key }), h('dd', {}, value)];
  profile.replaceChildren(
    ...fact('account.since', moment(me.created_at)),
    h('dt', { t: 'account.terminalKey' }), h('dd', { class: 'mono small' }, thumbprint));
}

async function terminalsOf(parts) {
  const { items } = await call('GET', '/v1/me/terminals');
  parts.terminals.replaceChildren(...items.map((item) => {
    const out = h('button', { class: 'quiet small', t: 'account.signOut', testid: `sign-out-${item.id}` });
    out.addEventListener('click', () => busy(out, () => act(parts, terminalsOf, async () => {
      await call('DELETE', `/v1/me/terminals/${encodeURIComponent(item.id)}`);
      toast('account.signedOut');
    })));
    return h('li', { testid: `terminal-${item.id}`, data: { current: String(item.current) } }, icons.screen(),
      h('div', { class: 'grow' }, h('strong', {}, item.name),
        h('p', { class: 'muted small', t: 'account.seen', tp: { when: moment(item.last_seen) } }),
        h('p', { class: 'muted small' }, [item.client_type, item.facts?.model, item.facts?.os, item.network].filter(Boolean).join(' · '))),
      item.current ? h('span', { class: 'tag', t: 'account.current' }) : out);
  }));
}

async function consentsOf(parts) {
  const [{ items = [] }, purposes] = await Promise.all([call('GET', '/v1/consents'), purposesInForce()]);
  parts.policies.replaceChildren(...policyLines(purposes));
  // What the account itself needs ends with the account; it is no consent to withdraw.
  const needed = purposes.filter((item) => item.optional === false).map((item) => item.id);
  const latest = new Map();
  for (const item of [...items].sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0))) latest.set(item.purpose, item);
  const given = [...latest.values()].filter((item) => item.decision === 'granted' && !needed.includes(item.purpose));
  if (!given.length) return parts.consents.replaceChildren(h('li', { class: 'muted', t: 'account.noConsents' }));
  return parts.consents.replaceChildren(...given.map((item) => {
    const withdraw = h('button', { class: 'quiet small', t: 'account.withdraw', testid: `withdraw-${item.purpose}` });
    withdraw.addEventListener('click', () => busy(withdraw, () => act(parts, consentsOf, async () => {
      await call('DELETE', `/v1/consents/${encodeURIComponent(item.purpose)}`);
      toast('account.withdrawn');
    })));
    return h('li', {}, h('div', { class: 'grow' }, h('strong', { class: 'mono' }, item.purpose),
      ...purposeText(purposes.find((purpose) => purpose.id === item.purpose) ?? {}),
      h('p', { class: 'muted small', t: 'consent.version', tp: { version: item.version } }),
      item.product ? h('p', { class: 'muted small', t: 'policy.given', tp: { policy: item.policy_id } }) : null), withdraw);
  }));
}

async function keysOf(parts) {
  const serials = await devicesWithKey();
  if (!serials.length) return parts.keys.replaceChildren(h('li', { class: 'muted', t: 'account.noKeys' }));
  return parts.keys.replaceChildren(...serials.map((serial) => {
    const forget = h('button', { class: 'quiet small', t: 'account.forget', testid: `forget-${serial}` });
    forget.addEventListener('click', () => busy(forget, () => act(parts, keysOf, async () => {
      await forgetDeviceKey(serial);
      toast('account.forgotten');
    })));
    return h('li', {}, icons.lock(), h('strong', { class: 'grow mono' }, serial), forget);
  }));
}

async function act(parts, again, work) {
  try {
    await work();
    await again(parts);
  } catch (problem) {
    showProblem(parts.error, problem);
  }
}
