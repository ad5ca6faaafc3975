// The optional part of the account: name, picture, region, what the cameras are for.

import { call, send } from '../api.js';
import { busy, h, toast } from '../dom.js';
import { purposesInForce } from '../policies.js';
import * as session from '../session.js';
import { problemLine, showProblem } from './dialogs.js';

const SCENARIOS = ['home', 'shop', 'office', 'school', 'factory', 'farm', 'site', 'other'];
/** Side of the picture that is sent, pixels: large enough for any screen of ours. */
const SIDE = 256;

/** Fills the card with the form, or with the question that comes before it. */
export async function profileOf({ profileCard }) {
  const { items } = await call('GET', '/v1/consents');
  const agreed = items.some((item) => item.purpose === 'profile' && item.decision === 'granted');
  profileCard.replaceChildren(...(agreed ? await form(profileCard) : offer(profileCard)));
}

/** Nothing is asked for before it is agreed that it may be kept. */
function offer(profileCard) {
  const error = problemLine('profile-error');
  const start = h('button', { class: 'primary small', t: 'profile.agree', testid: 'profile-agree' });
  start.addEventListener('click', () => busy(start, async () => {
    try {
      const { id, version } = (await purposesInForce()).find((purpose) => purpose.id === 'profile');
      await call('POST', '/v1/consents', { purpose: id, version, decision: 'granted' });
      await profileOf({ profileCard });
      profileCard.querySelector('input')?.focus();
    } catch (problem) {
      showProblem(error, problem);
    }
  }));
  return [h('p', { class: 'hint', t: 'profile.offer' }), error, h('div', { class: 'row end' }, start)];
}

async function form(profileCard) {
  const held = await call('GET', '/v1/me/profile');
  const error = problemLine('profile-error');
  const nickname = h('input', { id: 'nickname', type: 'text', maxlength: '64', autocomplete: 'nickname', testid: 'nickname' });
  const region = h('input', { id: 'region', type: 'text', maxlength: '6', autocomplete: 'country', class: 'mono', testid: 'region' });
  const scenario = h('select', { id: 'scenario', testid: 'scenario' }, h('option', { value: '', t: 'profile.scenario.none' }),
    ...SCENARIOS.map((name) => h('option', { value: name, t: `profile.scenario.${name}` })));
  nickname.value = held.nickname ?? '';
  region.value = held.region ?? '';
  scenario.value = held.scenario ?? '';
  const save = h('button', { class: 'primary small', type: 'submit', t: 'profile.save', testid: 'profile-save' });
  const element = h('form', { novalidate: true, class: 'stack' },
    await picture(profileCard, held.avatar, error),
    field('profile.nickname', nickname), field('profile.region', region, 'profile.regionHint'), field('profile.scenario', scenario),
    error, h('div', { class: 'row end' }, save));
  element.addEventListener('submit', (event) => {
    event.preventDefault();
    busy(save, async () => {
      try {
        const text = (input) => input.value.trim() || null;
        await call('PATCH', '/v1/me', {
          nickname: text(nickname), region: text(region)?.toUpperCase() ?? null, scenario: text(scenario),
        });
        toast('profile.saved');
      } catch (problem) {
        showProblem(error, problem);
      }
    });
  });
  return [element];
}

const field = (key, input, hint) => h('div', { class: 'field' }, h('label', { for: input.id, t: key }), input,
  hint ? h('p', { class: 'hint', t: hint }) : null);

async function picture(profileCard, stored, error) {
  const shown = stored ? h('img', { class: 'avatar', src: await read(), alt: '', width: '64', height: '64', testid: 'avatar' }) : null;
  const file = h('input', { id: 'avatar-file', type: 'file', accept: 'image/jpeg,image/png', testid: 'avatar-file' });
  const act = async (work) => {
    try {
      await work();
      await profileOf({ profileCard });
    } catch (problem) {
      showProblem(error, problem);
    }
  };
  file.addEventListener('change', () => file.files.length && act(async () => {
    const body = await scaled(file.files[0]);
    await send('PUT', '/v1/me/avatar', { token: await session.accessToken(send), body, type: 'image/jpeg' });
    toast('profile.pictureSaved');
  }));
  const remove = h('button', { class: 'quiet small', type: 'button', t: 'profile.pictureDelete', testid: 'avatar-delete' });
  remove.addEventListener('click', () => busy(remove, () => act(() => call('DELETE', '/v1/me/avatar'))));
  return h('div', { class: 'field' }, h('label', { for: 'avatar-file', t: 'profile.picture' }),
    h('div', { class: 'row' }, shown, file, stored ? remove : null), h('p', { class: 'hint', t: 'profile.pictureHint' }));
}

/** The stored picture as a data address: it is shown to nobody who cannot prove the login. */
async function read() {
  const response = await send('GET', '/v1/me/avatar', { token: await session.accessToken(send) });
  const blob = await response.blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(reader.result));
    reader.addEventListener('error', () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

/** The middle of a picture, made small; what else stands in the file stays here. */
async function scaled(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw Object.assign(new Error(), { name: 'picture-invalid' });
  }
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  canvas.getContext('2d').drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
}
