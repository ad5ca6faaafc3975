// What is in force of each purpose for this page: a policy that the operator laid down for this kind of client
// takes precedence over the general one.

import { open } from './api.js';

/** What this page calls itself when it signs in. */
export const CLIENT_TYPE = 'web';

/** Purposes with what is in force of each for this page; `version` is the one to consent to. */
export async function purposesInForce() {
  const { items } = await open('GET', `/v1/policies?product=${CLIENT_TYPE}`);
  return items.map((item) => ({ ...item, id: item.purpose }));
}
