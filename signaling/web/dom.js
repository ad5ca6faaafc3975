// Elements without a framework. Texts are keys of the language tables and follow the language.

import { t } from './i18n.js';

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element. Properties: `t` text key (`tp` its parameters), `label` key of the accessible name,
 * `placeholder` key, `id`, `class`, `testid`, `data` (dataset), `on` (listeners); the rest are
 * attributes, `false` leaves one out.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { t: key, tp, label, placeholder, testid, data = {}, on = {}, ...attributes } = properties;
  if (key) Object.assign(element.dataset, { t: key, ...(tp && { tp: JSON.stringify(tp) }) });
  if (label) element.dataset.tLabel = label;
  if (placeholder) element.dataset.tPlaceholder = placeholder;
  if (testid) element.dataset.testid = testid;
  Object.assign(element.dataset, data);
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === undefined || value === null) continue;
    element.setAttribute(name, value === true ? '' : value);
  }
  if (key || label || placeholder) translate(element);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An icon of 24 by 24, hidden from readers: the control beside it has the name. */
export function svg(...paths) {
  const element = document.createElementNS(SVG, 'svg');
  const fixed = { viewBox: '0 0 24 24', 'aria-hidden': 'true', class: 'icon' };
  for (const [name, value] of Object.entries(fixed)) element.setAttribute(name, value);
  for (const d of paths) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    element.append(path);
  }
  return element;
}

/** Sets a text key on an element. */
export function say(element, key, parameters) {
  element.dataset.t = key;
  if (parameters) element.dataset.tp = JSON.stringify(parameters);
  else delete element.dataset.tp;
  translate(element);
}

/** Empties an element of its text, so that a switch of the language does not bring it back. */
export function hush(element) {
  delete element.dataset.t;
  delete element.dataset.tp;
  delete element.dataset.problem;
  element.textContent = '';
}

/** Sets the key of an element's accessible name. */
export function relabel(element, key) {
  element.dataset.tLabel = key;
  translate(element);
}

/** Puts all texts under `root` into the language of now. */
export function translateAll(root = document) {
  root.querySelectorAll('[data-t], [data-t-label], [data-t-placeholder]').forEach(translate);
}

function translate(element) {
  const { t: key, tp, tLabel, tPlaceholder } = element.dataset;
  if (key) element.textContent = t(key, tp && JSON.parse(tp));
  if (tLabel) {
    element.setAttribute('aria-label', t(tLabel));
    if (element.tagName === 'BUTTON') element.title = t(tLabel);
  }
  if (tPlaceholder) element.placeholder = t(tPlaceholder);
}

/** Tells screen readers. */
export function announce(key, parameters) {
  say(document.getElementById('announcer'), key, parameters);
}

/** Tells screen readers words that stand on the page already. */
export function announceWords(words) {
  const announcer = document.getElementById('announcer');
  hush(announcer);
  announcer.textContent = words;
}

/** A short note at the edge of the window. */
export function toast(key, parameters) {
  const note = h('div', { class: 'toast', t: key, tp: parameters, testid: 'toast' });
  document.getElementById('toasts').append(note);
  announce(key, parameters);
  setTimeout(() => note.remove(), 4500);
}

/** A button that shows that it works, and cannot be pressed twice. */
export async function busy(button, act) {
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  button.disabled = true;
  try {
    return await act();
  } finally {
    button.removeAttribute('aria-busy');
    button.disabled = false;
  }
}
