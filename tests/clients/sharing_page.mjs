// Two people with accounts of their own at two browsers, against a real server and a camera: the owner
// shares it, the guest accepts, both compare digits, the guest watches, and the owner ends the share.
//
// Reads one JSON object from standard input:
//   {"page", "sms_file", "owner_phone", "guest_phone", "bind_text", "secret_file", "password", "serial"}
// (`password`: of an open camera, whose owner adds it with that; else null). Prints JSON lines
// {"step", ...}; the last one is {"step": "done"}.

import { launch, show } from './browser.mjs';
import { Person, lines, request, waitFor } from './person.mjs';

const { serial } = request;
const secret = () => (request.password ? request.password : waitFor('the secret', () => lines(request.secret_file)[0]));

async function addCamera(owner) {
  await owner.at('add-first').click();
  await owner.at('bind-serial').fill(request.bind_text);
  const add = owner.at('bind').locator('button[type=submit]');
  await add.click();
  if (request.password) {
    await owner.at('bind-secret').fill(request.password);
    await add.click();
  }
  await owner.at(`device-${serial}`).waitFor();
  await secret();
}

/** The owner makes an invitation; its link. */
async function invitation(owner) {
  await owner.at(`shares-${serial}`).click();
  await owner.at('share-none').waitFor();
  await owner.at('share-add').click();
  await owner.at('share-label').fill('Ben next door');
  await owner.at('scope-talk').check();
  await owner.at('share-days').fill('7');
  await owner.submit('invite');
  const refused = await waitFor('a refusal', () => owner.at('invite').locator('.error').textContent());
  const ticked = await owner.at('share-attest').isChecked();
  await owner.at('share-attest').check();
  await owner.submit('invite');
  const link = await owner.at('share-link').inputValue();
  await owner.submit('handover');
  const row = owner.at('share').first();
  await row.waitFor();
  show({ step: 'invited', refused, ticked, link, state: await row.getAttribute('data-state'), text: await row.textContent() });
  return link;
}

async function acceptance(guest, link) {
  await guest.page.goto(link);
  await guest.at('invitation-accept').waitFor();
  const offered = await guest.at('invitation').textContent();
  const ticked = (await guest.at('share-consent').isChecked()) || (await guest.at('share-attest').isChecked());
  await guest.at('invitation-accept').click();
  const refused = await waitFor('a refusal', () => guest.at('error').first().textContent());
  await guest.at('share-consent').check();
  await guest.at('share-attest').check();
  await guest.at('invitation-accept').click();
  await waitFor('the guest to wait', async () => (await guest.attribute('introduction-state', 'data-state')) === 'askOwner');
  show({ step: 'accepted', offered, ticked, refused, address: new URL(guest.page.url()).hash.split('/')[1] });
}

async function meeting(owner, guest) {
  await owner.page.locator('[data-testid^=share-meet-]').click();
  await waitFor('the digits', async () => {
    if (await owner.at('secret').isVisible()) {
      await owner.at('secret').fill(await secret());
      await owner.at('secret-dialog').locator('button[type=submit]').click();
      await owner.at('secret').waitFor({ state: 'detached' });
    }
    return owner.at('digits').isVisible();
  });
  const digits = await Promise.all([owner, guest].map((one) => one.at('digits').textContent()));
  show({ step: 'digits', digits });
  await Promise.all([owner, guest].map((one) => one.submit('compare')));
  await waitFor('the outcome', async () => (await guest.attribute('introduction-state', 'data-state')) === 'done');
  await guest.at('meet-devices').click();
  const card = guest.at(`device-${serial}`);
  await card.waitFor();
  show({ step: 'let in', card: await card.textContent(), scopes: await guest.at('share-scopes').getAttribute('data-scopes') });
}

/** The owner narrows the share, which ends the picture for a moment, then ends it. */
async function ending(owner, guest) {
  await owner.page.locator('[data-testid^=share-change-]').click();
  await owner.at('scope-talk').uncheck();
  await owner.submit('change');
  await waitFor('fewer scopes', async () => (await owner.attribute('share-scopes', 'data-scopes')) === 'view');
  await waitFor('the picture again', async () => (await guest.attribute('live-state', 'data-state')) === 'playing');
  show({ step: 'narrowed' });
  await owner.page.locator('[data-testid^=share-end-]').click();
  const at = Date.now();
  await owner.submit('end-share');
  await waitFor('the end of the picture', async () => (await guest.attribute('live-state', 'data-state')) === 'failed');
  show({ step: 'ended', after: Date.now() - at, problem: await guest.attribute('live-state', 'data-problem') });
  await owner.at('share-none').waitFor();
  await owner.goTo(`#/viewers/${serial}`);
  await waitFor('the list', async () => (await owner.at('viewers').count()) === 1);
  const others = () => owner.page.locator('[data-testid=viewer][data-current=false]').count();
  await waitFor('the guest off the list', async () => (await others()) === 0);
  await guest.goTo('#/devices');
  await guest.at('add-first').waitFor();
  await owner.goTo(`#/shares/${serial}`);
  await owner.at('share-none').waitFor();
  await owner.at('language').click();
  show({ step: 'chinese', title: await owner.page.locator('h1').textContent(), none: await owner.at('share-none').textContent() });
}

async function main() {
  const browser = await launch();
  try {
    const owner = await Person.arrive(browser, 'owner', request.owner_phone);
    await addCamera(owner);
    const link = await invitation(owner);
    const guest = await Person.arrive(browser, 'guest', request.guest_phone);
    await acceptance(guest, link);
    await meeting(owner, guest);
    show({ step: 'watching', state: await guest.watch(serial) });
    await ending(owner, guest);
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
