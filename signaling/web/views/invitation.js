// The guest's side of sharing: an invitation, its acceptance, and getting to know the owner.

import { call } from '../api.js';
import { busy, h, hush, toast } from '../dom.js';
import * as icons from '../icons.js';
import { purposesInForce } from '../policies.js';
import { problemLine, purposeText, showProblem, stillHere } from './dialogs.js';
import { introduce } from './introduce.js';
import { agreement, termsText } from './share_terms.js';

const PURPOSE = 'device.shared';

/** `#/share/CODE`, or without a code a place to enter one. */
export function invitationView(context, code) {
  const error = problemLine('invitation-error');
  const card = h('div', { class: 'card', testid: 'invitation' });
  const view = { context, error, card, still: stillHere() };
  const element = h('section', { class: 'page narrow' }, heading('invitation.title'), error, card);
  return { element, title: 'invitation.title', entered: () => (code ? attempt(view, () => offer(view, code)) : enter(view)) };
}

/** `#/meet/ID`: a terminal of a guest gets to know the owner of a share. */
export function meetView(context, id) {
  const error = problemLine('meet-error');
  const state = h('p', { class: 'hint', role: 'status', testid: 'introduction-state' });
  const again = h('button', { class: 'primary', t: 'meet.start', testid: 'introduce-start' });
  const watch = h('a', { class: 'button primary', href: '#/devices', t: 'meet.devices', testid: 'meet-devices', hidden: true });
  const code = h('span', { hidden: true });
  const abort = new AbortController();
  const view = { error, code, state, signal: abort.signal, share: id };
  const go = () => busy(again, async () => {
    await introduce(view);
    watch.hidden = state.dataset.state !== 'done';
    again.hidden = !watch.hidden;
  });
  again.addEventListener('click', go);
  const element = h('section', { class: 'page narrow' }, heading('meet.title'), error,
    h('div', { class: 'card' }, h('p', { class: 'hint', t: 'meet.lead' }), state, h('div', { class: 'row wrap' }, again, watch)));
  return { element, title: 'meet.title', entered: go, leave: () => abort.abort() };
}

const heading = (title) => h('div', { class: 'row heading' },
  h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
  h('h1', { t: title }));

async function attempt(view, work) {
  hush(view.error);
  try {
    return await work();
  } catch (problem) {
    showProblem(view.error, problem);
    return null;
  }
}

/** The code of a pasted link or of what was typed. */
export const codeOf = (text) => text.trim().split('/').pop().replace(/[\s-]/g, '').toUpperCase();

function enter({ context, card }) {
  const field = h('input', { id: 'invitation-code', testid: 'invitation-code', class: 'mono', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false' });
  const next = h('button', { class: 'primary', type: 'submit', t: 'viewers.next', testid: 'invitation-next' });
  const form = h('form', { novalidate: true }, h('p', { class: 'hint', t: 'invitation.enter' }),
    h('label', { for: 'invitation-code', t: 'invitation.code' }), field, h('div', { class: 'row end' }, next));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (codeOf(field.value)) context.go(`#/share/${codeOf(field.value)}`);
  });
  card.replaceChildren(form);
  field.focus();
}

/** Shows what is offered, and what the guest is asked to agree to. */
async function offer(view, text) {
  const code = codeOf(text);
  const [offered, purposes] = await Promise.all([call('POST', '/v1/shares/invitation', { code }), purposesInForce()]);
  const purpose = purposes.find(({ id }) => id === PURPOSE) ?? { version: 0, text: {} };
  const consent = h('input', { type: 'checkbox', id: 'share-consent', testid: 'share-consent' });
  const word = agreement('share-attest', offered.attestation);
  const accept = h('button', { class: 'primary', t: 'invitation.accept', testid: 'invitation-accept' });
  accept.addEventListener('click', () => busy(accept, () => attempt(view, async () => {
    if (!consent.checked || !word.input.checked) throw Object.assign(new Error('both'), { name: 'invitation-agree' });
    const body = { code, consent: purpose.version, attestation: offered.attestation.version };
    const share = await call('POST', '/v1/shares/accept', body);
    toast('invitation.accepted');
    // Whoever went elsewhere meanwhile stays there.
    if (!view.still()) return;
    // The code is used up and stays in no history.
    history.replaceState(null, '', '#/devices');
    view.context.go(needsKeys(share) ? `#/meet/${encodeURIComponent(share.id)}` : '#/devices');
  })));
  view.card.replaceChildren(
    h('h2', {}, offered.name || offered.serial), h('p', { class: 'muted mono small' }, offered.serial),
    ...termsText(offered),
    h('hr'),
    ...purposeText(purpose),
    h('label', { class: 'check', for: 'share-consent' }, consent, h('span', { t: 'consent.agree' })),
    word.label, h('p', { class: 'hint', t: 'invitation.lead' }),
    h('div', { class: 'row end' }, accept));
}

/** Turning the camera and being told of events need no picture's key. */
const needsKeys = ({ scopes }) => scopes.some((scope) => ['view', 'playback', 'download', 'talk'].includes(scope));
