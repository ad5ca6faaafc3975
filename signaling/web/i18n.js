// Languages of the page: the browser's preference first, then the visitor's switch.

import { en } from './lang/en.js';
import { zh } from './lang/zh.js';

const TABLES = { en, zh };
const KEPT = 'sightline-language';
let current = initial();

function initial() {
  const kept = globalThis.localStorage?.getItem(KEPT);
  if (kept in TABLES) return kept;
  const preferred = globalThis.navigator?.languages ?? [];
  return preferred.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in TABLES) ?? 'en';
}

/** `en` or `zh`. */
export const language = () => current;

export function setLanguage(next) {
  current = next in TABLES ? next : 'en';
  globalThis.localStorage?.setItem(KEPT, current);
}

/** Whether a key has a text. */
export const has = (key) => key in TABLES.en;

/** The text of a key, with `{name}` filled in. Missing texts fall back to English, then the key. */
export function t(key, parameters = {}) {
  const text = TABLES[current][key] ?? TABLES.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(parameters[name] ?? whole));
}

/** A moment (Unix seconds) in words of the language. */
export function moment(unix) {
  const style = { dateStyle: 'medium', timeStyle: 'short' };
  return new Intl.DateTimeFormat(current === 'zh' ? 'zh-CN' : 'en', style).format(unix * 1000);
}
