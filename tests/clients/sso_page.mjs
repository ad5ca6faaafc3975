// A person with two apps, each a server of its own: both send the browser to the provider, trade the
// code that comes back, check the ID token by the provider's published keys, and hear of the sign-out.
//
// Reads one JSON object from standard input: {"issuer", "ca", "sms_file", "phone", "sightline", "data"}.
// Prints JSON lines {"step", ...}; the last one is {"step": "done"}.

import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request as ask } from 'node:https';
import { launch, show } from './browser.mjs';
import { signIn, terminal, until } from './newcomer.mjs';

const request = JSON.parse(readFileSync(0, 'utf8'));
const ca = readFileSync(request.ca);
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const json = (text) => { try { return JSON.parse(text); } catch { return null; } };
const expect = (holds, what) => { if (!holds) throw new Error(what); };

/** One request to the provider over TLS, which is trusted by its own CA. */
function fetched(method, path, { headers = {}, form, body } = {}) {
  const text = form ? new URLSearchParams(form).toString() : body && JSON.stringify(body);
  const kind = form ? 'application/x-www-form-urlencoded' : 'application/json';
  const all = { ...headers, ...(text !== undefined && { 'content-type': kind, 'content-length': Buffer.byteLength(text) }) };
  return new Promise((resolve, reject) => {
    const sent = ask(new URL(path, request.issuer), { method, headers: all, ca }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode, body: json(Buffer.concat(parts).toString()) }));
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

// Variables of the tests are no keys of the product's configuration.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SIGHTLINE_')));
const admin = (...words) =>
  JSON.parse(execFileSync(request.sightline, ['admin', '--data', request.data, 'app', ...words, '--json'], { encoding: 'utf8', env }));

/** Claims of a token that a published key signed for this app. */
async function verified(token, audience, typ) {
  const { body: about } = await fetched('GET', '/.well-known/openid-configuration');
  expect(about.issuer === request.issuer, 'the provider has the name that it was found by');
  const { body: { keys } } = await fetched('GET', new URL(about.jwks_uri).pathname);
  const [head, claims, signature] = token.split('.');
  const header = JSON.parse(Buffer.from(head, 'base64url'));
  expect(header.alg === 'ES256' && header.typ === typ, `a token of type ${header.typ}`);
  const key = createPublicKey({ key: keys.find(({ kid }) => kid === header.kid), format: 'jwk' });
  const good = verify('sha256', Buffer.from(`${head}.${claims}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'));
  expect(good, 'the token is signed by the provider');
  const said = JSON.parse(Buffer.from(claims, 'base64url'));
  const now = Date.now() / 1000;
  expect(said.iss === request.issuer && said.aud === audience && said.exp > now && said.iat <= now + 5, 'the token is for this app, now');
  return said;
}

/** A relying party with a place to come back to and one to hear of logouts. */
class App {
  constructor(name, own) {
    Object.assign(this, { name, own, tokens: null, told: [], came: [] });
    if (own) this.pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  }

  async open() {
    this.server = createServer((incoming, answer) => this.serve(incoming, answer));
    await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
    this.origin = `http://127.0.0.1:${this.server.address().port}`;
    const added = admin('add', '--name', this.name, '--redirect-uri', `${this.origin}/cb`,
      '--policy-url', `${this.origin}/policy`, '--backchannel-logout-uri', `${this.origin}/logout`,
      ...(this.own ? ['--first-party', '--public'] : []));
    Object.assign(this, { id: added.client_id, secret: added.client_secret });
    expect(this.own === !this.secret, 'an app has a secret or a key');
    return this;
  }

  serve(incoming, answer) {
    const at = new URL(incoming.url, this.origin);
    if (at.pathname === '/cb') {
      this.came.push(at.searchParams);
      answer.setHeader('content-type', 'text/html').end(`<p id="back">${this.name}</p>`);
    } else if (at.pathname === '/logout') {
      let text = '';
      incoming.on('data', (part) => { text += part; });
      incoming.on('end', () => {
        this.told.push(new URLSearchParams(text).get('logout_token'));
        answer.end();
      });
    } else answer.writeHead(204).end();
  }

  /** Where the browser goes to sign in. */
  start(more = {}) {
    this.verifier = base64url(randomBytes(48));
    this.state = base64url(randomBytes(16));
    this.nonce = base64url(randomBytes(16));
    const wish = {
      response_type: 'code', client_id: this.id, redirect_uri: `${this.origin}/cb`, scope: 'openid profile',
      state: this.state, nonce: this.nonce, code_challenge_method: 'S256',
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'), ...more,
    };
    return `${request.issuer}/oauth/authorize?${new URLSearchParams(wish)}`;
  }

  /** What the browser came back with, once; it must be this flow's and this provider's. */
  back() {
    const query = this.came.shift();
    expect(query.get('state') === this.state && query.get('iss') === request.issuer, 'the answer is to this request');
    return query;
  }

  proof(method, path, token) {
    const { x, y } = this.pair.publicKey.export({ format: 'jwk' });
    const part = (value) => base64url(JSON.stringify(value));
    const claims = {
      jti: base64url(randomBytes(12)), htm: method, htu: `${request.issuer}${path}`, iat: Math.floor(Date.now() / 1000),
      ...(token && { ath: createHash('sha256').update(token).digest('base64url') }),
    };
    const text = `${part({ typ: 'dpop+jwt', alg: 'ES256', jwk: { crv: 'P-256', kty: 'EC', x, y } })}.${part(claims)}`;
    return `${text}.${base64url(sign('sha256', Buffer.from(text), { key: this.pair.privateKey, dsaEncoding: 'ieee-p1363' }))}`;
  }

  async traded(form) {
    const path = '/oauth/token';
    const headers = this.own ? { dpop: this.proof('POST', path) }
      : { authorization: `Basic ${Buffer.from(`${this.id}:${this.secret}`).toString('base64')}` };
    return fetched('POST', path, { headers, form: { ...form, ...(this.own && { client_id: this.id }) } });
  }

  /** Signs in with the code that came; the claims of the ID token. */
  async enter() {
    const query = this.back();
    const form = { grant_type: 'authorization_code', code: query.get('code'), redirect_uri: `${this.origin}/cb`, code_verifier: this.verifier };
    const { status, body } = await this.traded(form);
    expect(status === 200, `no tokens: ${status} ${JSON.stringify(body)}`);
    this.tokens = body;
    const claims = await verified(body.id_token, this.id, 'JWT');
    expect(claims.nonce === this.nonce, 'the ID token is for this flow');
    this.claims = claims;
    return claims;
  }

  /** A request with the access token. */
  as(method, path, body) {
    const token = this.tokens.access_token;
    const headers = this.own ? { authorization: `DPoP ${token}`, dpop: this.proof(method, path, token) } : { authorization: `Bearer ${token}` };
    return fetched(method, path, { headers, body });
  }

  /** Whether it was told that this very login is over. */
  async wasTold() {
    const token = await until(`word to ${this.name}`, () => this.told.shift());
    const said = await verified(token, this.id, 'logout+jwt');
    return said.sub === this.claims.sub && said.sid === this.claims.sid && EVENT in said.events && !('nonce' in said);
  }
}

const sms = () => {
  try {
    return readFileSync(request.sms_file, 'utf8').split('DEVELOPMENT SMS to ').length - 1;
  } catch {
    return 0;
  }
};

/** The first app: nobody is signed in yet; the person signs in, is asked and agrees. */
async function first(page, app) {
  const at = (id) => page.getByTestId(id);
  await signIn(page, { ...request, page: app.start() });
  await at('app-name').waitFor();
  const heading = await at('app-name').textContent();
  await at('language').click();
  const chinese = await at('app-name').textContent();
  await at('language').click();
  show({ step: 'asked', heading, chinese, policy: await at('app-policy').getAttribute('href'), policy_expected: `${app.origin}/policy` });
  await at('app-agree').click();
  await page.locator('#back').waitFor();
  const { sub } = await app.enter();
  const barred = await app.as('PUT', '/v1/me/password', { password: 'gnu lamp oboe fig' });
  const devices = await app.as('GET', '/v1/devices');
  show({ step: 'own', sub, type: app.tokens.token_type, devices: devices.status, password: { status: barred.status, type: barred.body?.type } });
}

/** The second app: the same login, no second code. */
async function second(page, app) {
  const before = sms();
  await page.goto(app.start());
  await page.getByTestId('app-agree').click();
  await page.locator('#back').waitFor();
  const { sub } = await app.enter();
  const info = await app.as('GET', '/oauth/userinfo');
  expect(info.body.sub === sub, 'userinfo is about the same person');
  const devices = await app.as('GET', '/v1/devices');
  show({ step: 'other', sub, codes: sms() - before, name: info.body.name ?? null, devices: devices.status });
}

/** What is remembered, refused, and not answered at all. */
async function further(page, app) {
  await page.goto(app.start());
  await page.locator('#back').waitFor();
  show({ step: 'again', code: app.back().has('code') });
  await page.goto(app.start({ prompt: 'consent' }));
  await page.getByTestId('app-refuse').click();
  await page.locator('#back').waitFor();
  show({ step: 'refused', answer: app.back().get('error') });
  await page.goto(app.start({ redirect_uri: `${app.origin}/cb/evil` }));
  const text = await until('a refusal', () => page.getByTestId('error').textContent());
  show({ step: 'foreign', text });
  expect(app.came.length === 0, 'nobody is sent to an address that the app does not have');
}

async function main() {
  const [own, other] = [await new App('Garden Go', true).open(), await new App('Weather', false).open()];
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const page = await terminal(browser, errors, { locale: 'en-GB', ignoreHTTPSErrors: true });
    await first(page, own);
    await second(page, other);
    await further(page, other);
    await page.goto(`${request.issuer}/#/account`);
    await page.getByTestId(`app-${own.id}`).waitFor();
    const names = await page.getByTestId('apps').locator('strong').allTextContents();
    show({ step: 'listed', apps: names.sort() });
    await page.getByTestId('sign-out').click();
    await page.getByTestId('phone').waitFor();
    const told = { own: await own.wasTold(), other: await other.wasTold() };
    const refreshed = await own.traded({ grant_type: 'refresh_token', refresh_token: own.tokens.refresh_token });
    const [devices, info] = [await own.as('GET', '/v1/devices'), await other.as('GET', '/oauth/userinfo')];
    show({ step: 'signed-out', ...told, devices: devices.status, info: info.status, refreshed: refreshed.body.error });
    show({ step: 'secrets', all: [other.secret, own.tokens.refresh_token, other.tokens.access_token] });
    if (errors.length) throw new Error(errors.join('; '));
    show({ step: 'done' });
  } finally {
    await browser.close();
    for (const app of [own, other]) app.server.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
