// A person's way with passkeys in Chromium, whose virtual authenticator stands in for the terminal's own:
// add one, rename it, sign in with it, fail to be verified, take it off, be refused, sign in by code.
// Reads one JSON object from standard input: {"page", "sms_file", "phone"}. Prints JSON lines {"step", ...}.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { nextCodeOf, signIn, terminal, until } from './newcomer.mjs';

/** A development server sends one message to a number within this time. */
const PAUSE_MS = 2200;

/** Chromium's authenticator, and what it holds. */
async function authenticator(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    },
  });
  return {
    credentials: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    verified: (isUserVerified) => devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
  };
}

/** Members of the newest request to a path. */
function watch(page) {
  const sent = new Map();
  page.on('request', (asked) => {
    if (asked.method() === 'POST' && asked.postData()) {
      sent.set(new URL(asked.url()).pathname, Object.keys(asked.postDataJSON()).sort());
    }
  });
  return (path) => sent.get(path);
}

const api = (page, method, path) => page.evaluate(async ([how, where]) => {
  const { call } = await import('/assets/api.js');
  return call(how, where);
}, [method, path]);

const account = (page) => api(page, 'GET', '/v1/me');

/** Confirms by the next code whatever `act` begins. */
async function confirming(page, request, act) {
  await page.waitForTimeout(PAUSE_MS);
  const code = nextCodeOf(request);
  await act();
  await page.getByTestId('confirm-code-field').fill(await code());
}

async function add(page, request, device, sent) {
  const at = (id) => page.getByTestId(id);
  await page.goto(`${request.page}#/account`);
  await confirming(page, request, () => at('passkey-add').click());
  await at('new-passkey-name').fill('Phone');
  await at('new-passkey-submit').click();
  await at('passkey-line').waitFor();
  const [credential, ...more] = await device.credentials();
  show({
    step: 'made', name: await at('passkey-name').textContent(), kept: 1 + more.length, party: credential.rpId,
    resident: credential.isResidentCredential, sent: sent('/v1/me/passkeys'),
  });
  await at('passkey-rename').click();
  await at('rename-passkey-name').fill('Old phone');
  await at('rename-passkey-submit').click();
  const name = await until('the other name', async () => {
    const text = await at('passkey-name').textContent();
    return text === 'Old phone' && text;
  });
  show({ step: 'renamed', name });
}

async function enter(page, sent) {
  const at = (id) => page.getByTestId(id);
  await at('sign-out').click();
  await at('passkey').click();
  await at('nav-account').waitFor();
  const { items } = await api(page, 'GET', '/v1/me/oplog');
  const log = items.map(({ action, result, object }) => ({ action, result, object }));
  show({ step: 'entered', sent: sent('/v1/sessions/passkey'), log });
}

/** Nobody is verified: the browser refuses, and so does the server when a browser does not insist. */
async function unverified(page, request, device) {
  const at = (id) => page.getByTestId(id);
  await page.goto(`${request.page}#/account`);
  await at('sign-out').click();
  await device.verified(false);
  await at('passkey').click();
  const browser = await until('the word about it', () => at('passkey-error').textContent());
  const server = await page.evaluate(async () => {
    const { open } = await import('/assets/api.js');
    const { base64url, fromBase64url } = await import('/assets/dpop.js');
    const text = (buffer) => base64url(new Uint8Array(buffer));
    const options = await open('POST', '/v1/passkeys/challenges');
    const publicKey = { ...options, challenge: fromBase64url(options.challenge), userVerification: 'discouraged' };
    const { rawId, response } = await navigator.credentials.get({ publicKey });
    const shown = {
      credential_id: text(rawId), client_data_json: text(response.clientDataJSON),
      authenticator_data: text(response.authenticatorData), signature: text(response.signature),
      user_handle: text(response.userHandle), terminal_name: 'Browser', client_type: 'web',
    };
    return open('POST', '/v1/sessions/passkey', shown).then(() => 'signed in', (problem) => problem.name);
  });
  await device.verified(true);
  show({ step: 'unverified', browser, server });
}

async function remove(page, request, before) {
  const at = (id) => page.getByTestId(id);
  await page.waitForTimeout(PAUSE_MS);
  await signIn(page, request);
  await at('nav-account').waitFor();
  await page.goto(`${request.page}#/account`);
  await at('passkey-line').waitFor();
  await confirming(page, request, () => at('passkey-remove').click());
  await at('remove-passkey-submit').click();
  await at('passkey-line').waitFor({ state: 'detached' });
  const { items } = await api(page, 'GET', '/v1/me/passkeys');
  const same = JSON.stringify(await account(page)) === before;
  await at('language').click();
  const chinese = await until('Chinese', async () => {
    const text = await at('passkeys').textContent();
    return text.includes('面容') && text;
  });
  show({ step: 'removed', kept: items.length, same, chinese });
}

/** The authenticator still has it, and it leads nowhere. */
async function refused(page) {
  const at = (id) => page.getByTestId(id);
  await at('sign-out').click();
  await at('passkey').click();
  const text = await until('the word about it', () => at('passkey-error').textContent());
  show({ step: 'refused', text });
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  const errors = [];
  try {
    const page = await terminal(browser, errors);
    const [device, sent] = [await authenticator(page), watch(page)];
    await signIn(page, request);
    await page.getByTestId('nav-account').waitFor();
    const before = JSON.stringify(await account(page));
    await add(page, request, device, sent);
    await enter(page, sent);
    await unverified(page, request, device);
    await remove(page, request, before);
    await refused(page);
    await page.waitForTimeout(PAUSE_MS);
    await signIn(page, request);
    await page.getByTestId('nav-account').waitFor();
    show({ step: 'by_code', same: JSON.stringify(await account(page)) === before });
    if (errors.length) throw new Error(errors.join('; '));
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
