// What is shared, and when: as words on a card, and as fields of a form.

import { h } from '../dom.js';
import { moment, t } from '../i18n.js';

export const SCOPES = ['view', 'playback', 'download', 'talk', 'ptz', 'events'];
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const DAY = 24 * 3600;
const MINUTES_OF_HOUR = 60;

/** Terms in words: scopes as tags, then what limits them. */
export function termsText({ scopes, channels, schedule, ends_at: endsAt }) {
  const limits = [
    channels ? h('p', { class: 'muted small', t: 'share.onChannels', tp: { channels: channels.join(', ') } }) : null,
    ...(schedule ? schedule.windows.map((window) => hours(window, schedule.utc_offset_minutes)) : []),
    endsAt ? h('p', { class: 'muted small', t: 'viewers.until', tp: { when: moment(endsAt) } }) : null,
  ];
  return [
    h('div', { class: 'row wrap', testid: 'share-scopes', data: { scopes: scopes.join(' ') } },
      ...scopes.map((scope) => h('span', { class: 'tag', t: `share.scope.${scope}` }))),
    ...limits,
  ];
}

function hours({ days, from, to }, offset) {
  const words = { days: days.map((day) => t(`share.day.${day}`)).join(' '), from, to, zone: zoneName(offset) };
  return h('p', { class: 'muted small', testid: 'share-hours', t: 'share.hours', tp: words });
}

/** `UTC+05:30` */
export function zoneName(offset) {
  const two = (number) => String(number).padStart(2, '0');
  const size = Math.abs(offset);
  return `UTC${offset < 0 ? '−' : '+'}${two(Math.floor(size / MINUTES_OF_HOUR))}:${two(size % MINUTES_OF_HOUR)}`;
}

const box = (id, text, checked) => {
  const input = h('input', { type: 'checkbox', id, testid: id, checked });
  return { input, label: h('label', { class: 'check', for: id }, input, h('span', { t: text })) };
};

/**
 * Fields for terms. `read` returns them, or throws `{key}` with what is missing. Fields that were not
 * touched keep what `terms` say.
 */
export function termsForm(terms, channelCount) {
  const scopes = SCOPES.map((scope) => ({ scope, ...box(`scope-${scope}`, `share.scope.${scope}`, terms.scopes.includes(scope)) }));
  const channels = Array.from({ length: channelCount > 1 ? channelCount : 0 }, (_, number) => {
    const made = box(`channel-${number}`, 'devices.channel', !terms.channels || terms.channels.includes(number));
    made.label.querySelector('span').replaceWith(h('span', { t: 'devices.channel', tp: { channel: number } }));
    return { number, ...made };
  });
  const days = h('input', { id: 'share-days', testid: 'share-days', type: 'number', min: '1', max: '3650' });
  const time = timeFields(terms.schedule);
  const body = [
    h('fieldset', { class: 'plain' }, h('legend', { t: 'share.may' }), ...scopes.map(({ label }) => label)),
    channels.length ? h('fieldset', { class: 'plain' }, h('legend', { t: 'share.channels' }), ...channels.map(({ label }) => label)) : null,
    h('label', { for: 'share-days', t: terms.ends_at ? 'share.daysAnew' : 'viewers.days', tp: terms.ends_at ? { when: moment(terms.ends_at) } : undefined }), days,
    ...time.body,
  ];
  const read = () => {
    const chosen = scopes.filter(({ input }) => input.checked).map(({ scope }) => scope);
    if (!chosen.length) throw { key: 'share.noScopes' };
    const on = channels.filter(({ input }) => input.checked).map(({ number }) => number);
    if (channels.length && !on.length) throw { key: 'share.noChannels' };
    const count = Number.parseInt(days.value, 10);
    return {
      scopes: chosen,
      channels: on.length === channels.length ? null : on,
      ends_at: count > 0 ? Math.floor(Date.now() / 1000) + count * DAY : terms.ends_at,
      schedule: time.read(),
    };
  };
  return { body, read };
}

/** One window of hours; a schedule of several, made elsewhere, stays as it is until it is touched. */
function timeFields(schedule) {
  const first = schedule?.windows[0] ?? { days: DAYS, from: '08:00', to: '20:00' };
  const only = box('share-timed', 'share.timed', Boolean(schedule));
  const days = DAYS.map((day) => ({ day, ...box(`day-${day}`, `share.day.${day}`, first.days.includes(day)) }));
  const clock = (id, value) => h('input', { id, testid: id, type: 'time', value });
  const [from, to] = [clock('share-from', first.from), clock('share-to', first.to === '24:00' ? '00:00' : first.to)];
  const offset = -new Date().getTimezoneOffset();
  const zone = h('p', { class: 'hint', t: 'share.zone', tp: { zone: zoneName(offset) } });
  const fields = h('fieldset', { class: 'plain', hidden: !schedule }, h('legend', { t: 'share.when' }),
    h('div', { class: 'row wrap' }, ...days.map(({ label }) => label)),
    h('label', { for: 'share-from', t: 'share.from' }), from, h('label', { for: 'share-to', t: 'share.to' }), to, zone);
  let touched = false;
  fields.addEventListener('input', () => {
    touched = true;
  });
  only.input.addEventListener('change', () => {
    fields.hidden = !only.input.checked;
  });
  const read = () => {
    if (!only.input.checked) return null;
    if (schedule && !touched) return schedule;
    const chosen = days.filter(({ input }) => input.checked).map(({ day }) => day);
    if (!chosen.length || !from.value || !to.value || from.value === to.value) throw { key: 'share.badHours' };
    return { utc_offset_minutes: offset, windows: [{ days: chosen, from: from.value, to: to.value }] };
  };
  return { body: [only.label, fields], read };
}

/** A box for words that a person agrees to, in both languages; never ticked beforehand. */
export function agreement(id, { text }) {
  const input = h('input', { type: 'checkbox', id, testid: id });
  const words = Object.entries({ en: text.en, 'zh-CN': text.zh }).map(([lang, some]) => h('span', { lang }, some));
  return { input, label: h('label', { class: 'check', for: id }, input, h('span', { class: 'both' }, ...words)) };
}
