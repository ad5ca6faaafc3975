// Signing out here: the login ends, and with it what this browser kept for whoever had it.

import { call } from '../api.js';
import { forgetAllDeviceKeys } from '../keys.js';
import * as session from '../session.js';
import { forgetConfirmation } from './confirm.js';

/** Ends the login of this terminal; the next person at this browser starts without its device keys. */
export async function signOut() {
  // Without an answer the login still ends here.
  await call('DELETE', '/v1/sessions/current').catch(() => {});
  await session.forget();
  forgetConfirmation();
  await forgetAllDeviceKeys();
}
