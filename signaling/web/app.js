// Start, frame and navigation of the page.

import { open } from './api.js';
import { announce, h, translateAll } from './dom.js';
import { language, setLanguage, t } from './i18n.js';
import * as icons from './icons.js';
import { forgetAllDeviceKeys, terminalKey } from './keys.js';
import * as session from './session.js';
import { accountView } from './views/account.js';
import { basicView, browseView, inBasicMode } from './views/basic.js';
import { authorizeView, refusedView, requestOfApp, whoAsks } from './views/authorize.js';
import { addDeviceView } from './views/add_device.js';
import { deviceView } from './views/device.js';
import { devicesView } from './views/devices.js';
import { leaveDialogs } from './views/dialogs.js';
import { introduceView } from './views/introduce.js';
import { cameBack } from './views/identities.js';
import { invitationView, meetView } from './views/invitation.js';
import { liveView } from './views/live.js';
import { returned } from './views/provider.js';
import { sharesView } from './views/shares.js';
import { signInView } from './views/signin.js';
import { viewersView } from './views/viewers.js';

const THEME = 'sightline-theme';
const app = document.getElementById('app');
const main = h('main', { id: 'main', tabindex: '-1' });
const nav = h('nav', { label: 'nav.main', class: 'nav' });
let view = null;
// Whether the last login was ended from elsewhere; the sign-in says so.
let ended = false;
// Whether the account is in basic mode; null: not known.
let basic = null;
// What the browser came back with from an identity provider, until a sign-in takes it.
let way = null;
// What an app asks for, when one does; the page is its alone then.
const asking = requestOfApp();
// Views that were asked for: only the last one is shown.
let turns = 0;

/** What all views know: facts of the server, and how to go somewhere. */
const context = {
  server: null,
  go: (hash) => {
    if (location.hash === hash) show();
    else location.hash = hash;
  },
  /** The account has gone into basic mode, or out of it. */
  modeChanged: () => {
    basic = null;
    return show();
  },
};

async function start() {
  theme(localStorage.getItem(THEME));
  frame();
  if (!isSecureContext) return fail('start.insecure');
  try {
    await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);
  } catch {
    return fail('start.unsupported');
  }
  await terminalKey();
  welcomeBack();
  context.server = await open('GET', '/v1/server');
  if (context.server.development) banner();
  addEventListener('hashchange', async () => {
    if (!isRoute(location.hash)) return;
    await show();
    scrollTo(0, 0);
    if (!main.contains(document.activeElement)) main.focus({ preventScroll: true });
  });
  addEventListener('pagehide', () => view?.leave?.());
  addEventListener('pageshow', (event) => event.persisted && show());
  session.onEnd(async () => {
    // Signed out elsewhere: whoever holds this browser now starts without the device keys.
    await forgetAllDeviceKeys();
    announce('signin.ended');
    ended = true;
    await show();
  });
  // Agreed to no more, elsewhere; or the question at the start was lost.
  session.onBasic(async () => {
    if (basic) return;
    basic = true;
    await show();
  });
  await show();
}

/** Whether an address within the page names a view; others name a place of the view. */
const isRoute = (hash) => hash === '' || hash.startsWith('#/');

/** Goes past the frame to what the view shows; as a link it would name a view that there is not. */
function skip(event) {
  event.preventDefault();
  main.focus();
  main.scrollIntoView();
}

/** Takes what an identity provider sent the browser back with to where it belongs. */
function welcomeBack() {
  const back = returned();
  if (back?.purpose === 'login') way = back;
  else if (back) {
    cameBack(back);
    history.replaceState(null, '', `${location.pathname}#/account`);
  }
}

/** Shows the view of the address, or the sign-in. */
async function show() {
  turns += 1;
  const turn = turns;
  view?.leave?.();
  view = null;
  leaveDialogs();
  const signedIn = await session.isSignedIn();
  if (signedIn) ended = false;
  const at = isRoute(location.hash) ? location.hash : '';
  const [name = '', ...rest] = at.replace(/^#\//, '').split('/').map(decodeURIComponent);
  nav.hidden = !signedIn || asking !== null;
  for (const link of nav.children) {
    const here = link.getAttribute('href') === `#/${name === 'account' ? name : 'devices'}`;
    if (here) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  // A server that does not answer is the view's to tell.
  if (signedIn) basic ??= await inBasicMode().catch(() => null);
  else basic = null;
  const asks = asking !== null && !signedIn ? await whoAsks(asking) : {};
  // Without an answer the browser is on its way back to the app.
  if (turn !== turns || !asks) return;
  const came = way;
  way = null;
  const signIn = () => {
    if (asks.problem) return refusedView(asks.problem);
    return name === 'browse' ? browseView() : signInView({ ...context, ended, done: show, app: asks.app, way: came });
  };
  const full = () => (basic ? basicView({ changed: context.modeChanged }) : route(name, rest));
  // What was pressed in the old view meanwhile ends with it.
  leaveDialogs();
  const made = signedIn ? full() : signIn();
  view = made;
  main.replaceChildren(made.element);
  document.title = `${t(made.title, made.titleParameters)} · Sightline`;
  made.entered?.();
}

function route(name, [serial, channel = '0']) {
  if (asking !== null) return authorizeView(asking);
  if (name === 'live' && serial) return liveView(context, serial, Number(channel) || 0);
  if (name === 'viewers' && serial) return viewersView(context, serial);
  if (name === 'shares' && serial) return sharesView(context, serial);
  if (name === 'share') return invitationView(context, serial);
  if (name === 'meet' && serial) return meetView(context, serial);
  if (name === 'device' && serial) return deviceView(context, serial);
  if (name === 'add') return addDeviceView(context);
  if (name === 'introduce') return introduceView();
  if (name === 'account') return accountView(context);
  return devicesView(context);
}

function frame() {
  nav.append(
    h('a', { href: '#/devices', t: 'nav.devices', testid: 'nav-devices' }),
    h('a', { href: '#/account', t: 'nav.account', testid: 'nav-account' }),
  );
  nav.hidden = true;
  const tools = h('div', { class: 'tools' },
    h('button', { class: 'quiet icon-button', label: 'nav.theme', testid: 'theme', on: { click: turnTheme } }, icons.theme()),
    h('button', { class: 'quiet', t: 'nav.language', testid: 'language', on: { click: turnLanguage } }),
  );
  const brand = h('a', { class: 'brand', href: '#/devices' }, icons.logo(), h('span', {}, 'Sightline'));
  app.append(h('header', { class: 'bar' }, brand, nav, tools), main);
  document.querySelector('.skip').addEventListener('click', skip);
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  translateAll();
}

function banner() {
  main.before(h('p', { class: 'banner', role: 'note', t: 'nav.development', testid: 'development' }));
}

function turnLanguage() {
  setLanguage(language() === 'en' ? 'zh' : 'en');
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  translateAll();
  if (view) document.title = `${t(view.title, view.titleParameters)} · Sightline`;
}

function turnTheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const now = document.documentElement.dataset.theme ?? (dark ? 'dark' : 'light');
  theme(now === 'dark' ? 'light' : 'dark');
}

function theme(name) {
  if (name !== 'light' && name !== 'dark') return;
  document.documentElement.dataset.theme = name;
  localStorage.setItem(THEME, name);
}

function fail(key, tp) {
  main.replaceChildren(h('p', { class: 'card error', role: 'alert', t: key, tp, testid: 'start-error' }));
}

start().catch((error) => {
  const retry = h('button', { class: 'primary', t: 'common.retry', on: { click: () => location.reload() } });
  fail('start.failed', { reason: error.name === 'offline' ? t('problem.offline') : error.message });
  main.append(retry);
});
