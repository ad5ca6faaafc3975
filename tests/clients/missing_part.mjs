// Loads the page in Chromium while a part of it does not arrive.
//
// Reads {"origin"} from standard input. Prints a JSON line per step: "once" (a part was lost one time: loads until the
// page was there), "always" (it never arrives: loads, and what the page says), "asked" (it is there again, and the
// person asks for the page: loads), "style" (the same for a lost style sheet).

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';

/** No part that is fetched ahead: of such a one, Chromium asks twice by itself. */
const PART = '**/assets/views/shares.js';
const STYLE = '**/assets/style.css';

async function main() {
  const { origin } = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  /** A page of a person who was not here before, and how often it was loaded. */
  const arrive = async (locale) => {
    const page = await (await browser.newContext({ locale })).newPage();
    let loads = 0;
    page.on('request', (request) => { loads += request.url() === `${origin}/` ? 1 : 0; });
    return { page, loads: () => loads, there: () => page.getByTestId('browse-link').waitFor() };
  };
  const lose = (route) => route.abort('failed');
  try {
    const once = await arrive('en-GB');
    await once.page.route(PART, lose, { times: 1 });
    await once.page.goto(`${origin}/`);
    await once.there();
    show({ step: 'once', loads: once.loads() });

    const always = await arrive('zh-CN');
    await always.page.route(PART, lose);
    await always.page.goto(`${origin}/`);
    const missing = always.page.getByTestId('missing-part');
    await missing.waitFor();
    show({ step: 'always', loads: always.loads(), text: await missing.innerText() });
    await always.page.unroute(PART);
    await missing.getByRole('button').click();
    await always.there();
    show({ step: 'asked', loads: always.loads(), missing: await missing.count() });

    const style = await arrive('en-GB');
    await style.page.route(STYLE, lose, { times: 1 });
    await style.page.goto(`${origin}/`);
    await style.there();
    show({ step: 'style', loads: style.loads() });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ step: 'failed', error: String(error) });
  process.exitCode = 1;
});
