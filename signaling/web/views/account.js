// The account: who, which terminals, which consents, which keys are kept here.

import { call } from '../api.js';
import { busy, h, hush, toast } from '../dom.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import { devicesWithKey, forgetDeviceKey, terminalKey } from '../keys.js';
import { purposesInForce } from '../policies.js';
import { appsOf } from './apps.js';
import { alertsSection } from './alerts.js';
import { identitiesOf } from './identities.js';
import { ask, problemLine, purposeText, showProblem } from './dialogs.js';
import { messagesCard } from './messages.js';
import { operationsCard } from './operations.js';
import { policyLines } from './policy_lines.js';
import { profileOf as optionalOf } from './profile.js';
import { securityOf } from './security.js';
import { signOut } from './sign_out.js';

/** Purposes with whose consent something goes that does not come back with it. */
const DELETING = ['profile', 'device.shared', 'device.location', 'device.hardware', 'device.bind'];
/** Cards with a line for problems of their own, where they are seen. */
const LINES = ['account', 'security', 'identities', 'apps', 'terminals', 'optional', 'consents', 'attestations', 'keys'];

export function accountView(context) {
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
  const attestations = h('ul', { class: 'list', testid: 'attestations' });
  const [operations, messages] = [operationsCard(), messagesCard()];
  const lines = Object.fromEntries(LINES.map((name) => [name, problemLine(`${name}-error`)]));
  const basic = h('button', { class: 'quiet small', t: 'basic.withdraw', testid: 'basic-withdraw' });
  basic.addEventListener('click', () => withdrawPolicy(context));
  const parts = {
    profile, security, identities, partial, apps, terminals, consents, policies, attestations, keys, profileCard, operations, messages, lines,
  };
  out.addEventListener('click', () => busy(out, async () => {
    await signOut();
    toast('account.signedOut');
    context.go('#/devices');
  }));
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row spread heading' }, h('h1', { t: 'account.title' }), out), partial,
    card('messages.title', null, null, messages.element),
    card('account.profile', null, lines.account, profile),
    card('security.title', 'security.lead', lines.security, security),
    card('identities.title', 'identities.lead', lines.identities, identities),
    card('apps.title', 'apps.lead', lines.apps, apps),
    card('account.terminals', 'account.terminalsLead', lines.terminals, terminals),
    alertsSection(),
    card('profile.title', 'profile.lead', lines.optional, profileCard),
    card('account.consents', null, lines.consents, h('div', {}, consents, h('div', { class: 'row end' }, basic),
      h('h3', { t: 'account.attestations' }), lines.attestations, attestations,
      h('h3', { t: 'policy.title' }), h('p', { class: 'hint', t: 'policy.lead' }), policies)),
    card('operations.title', 'operations.lead', null, operations.element),
    card('account.keys', 'account.keysLead', lines.keys, keys));
  return { element, title: 'account.title', entered: () => load(parts) };
}

/** `error` says what went wrong in this card; pressing a button of it is a new try. */
function card(title, lead, error, body) {
  const element = h('div', { class: 'card' }, h('h2', { t: title }), lead ? h('p', { class: 'hint', t: lead }) : null, error, body);
  element.addEventListener('click', ({ target }) => {
    if (error && target.closest('button')) hush(error);
  }, true);
  return element;
}

async function load(parts) {
  const fill = async ([line, work]) => {
    const own = { ...parts, error: parts.lines[line] };
    await work(own).catch((problem) => showProblem(own.error, problem));
  };
  // What came of a way to a provider is told far down the page.
  const returning = async (own) => {
    await identitiesOf(own);
    if (own.error.textContent) own.error.scrollIntoView({ block: 'nearest' });
  };
  const fillers = Object.entries({
    account: profileOf, security: securityOf, identities: returning, apps: appsOf, terminals: terminalsOf,
    consents: consentsOf, attestations: attestationsOf, keys: keysOf, optional: optionalOf,
  });
  await Promise.all([...fillers.map(fill), parts.operations.load(), parts.messages.load()]);
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
      if (!(await withdrawn(item.purpose))) return;
      toast('account.withdrawn');
      if (item.purpose === 'profile') await optionalOf(parts);
    })));
    return h('li', {}, h('div', { class: 'grow' }, h('strong', { class: 'mono' }, item.purpose),
      ...purposeText(purposes.find((purpose) => purpose.id === item.purpose) ?? {}),
      h('p', { class: 'muted small', t: 'consent.version', tp: { version: item.version } }),
      item.product ? h('p', { class: 'muted small', t: 'policy.given', tp: { policy: item.policy_id } }) : null), withdraw);
  }));
}

/** Withdraws a consent; asks first where that deletes something. False when it was not done. */
async function withdrawn(purpose) {
  const end = () => call('DELETE', `/v1/consents/${encodeURIComponent(purpose)}`).then(() => true);
  if (!DELETING.includes(purpose)) return end();
  return ask({
    title: 'account.withdrawTitle', testid: 'withdraw-consent', submitKey: 'account.withdraw', danger: true,
    body: [h('p', { class: 'mono' }, purpose), h('p', { t: `account.withdrawLead.${purpose}` })],
    submit: end,
  });
}

async function attestationsOf({ attestations }) {
  const { items } = await call('GET', '/v1/attestations');
  if (!items.length) return attestations.replaceChildren(h('li', { class: 'muted', t: 'account.attestationsNone' }));
  return attestations.replaceChildren(...items.map(({ kind, object, version, at }) => h('li', { testid: 'attestation' },
    h('div', { class: 'grow' }, h('strong', { t: `operations.did.attestation.${kind}` }), h('p', { class: 'mono small' }, object),
      h('p', { class: 'muted small', t: 'account.attested', tp: { version, when: moment(at) } })))));
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
    parts.error.scrollIntoView({ block: 'nearest' });
  }
}
