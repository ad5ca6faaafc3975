// The way through the gate: each refusal of the server leads to the one thing that is missing.

/** What to do about a problem. Anything else is shown. */
const STEPS = {
  'login-required': 'sign-in',
  'wrong-terminal': 'sign-in',
  'device-key-required': 'prove-key',
  'sms-required': 'confirm-sms',
  'consent-required': 'consent',
  'grant-expired': 'again',
  'grant-replayed': 'again',
  'grant-invalid': 'again',
  'not-live': 'wait',
  'relay-full': 'wait',
  unavailable: 'wait',
  timeout: 'wait',
  offline: 'wait',
  'rate-limited': 'wait',
};

/** Most steps for one try: five facts are checked, and each may be lost once on the way. */
export const MAX_STEPS = 10;
/** First and longest pause between tries, seconds. */
const FIRST_PAUSE = 0.5;
const LONGEST_PAUSE = 10;

export const stepFor = ({ name }) => (Object.hasOwn(STEPS, name) ? STEPS[name] : 'show');

/** Pause before try number `attempt` (from 0), seconds; `random` in 0..1 spreads the crowd. */
export function pause(attempt, random = Math.random()) {
  const full = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(attempt, 10));
  return full * (0.75 + random / 2);
}

/** Does a step, which may itself have to wait, for example until the next SMS may be sent. */
async function run(step, problem, steps) {
  try {
    return await step(problem);
  } catch (hindrance) {
    if (step === steps.wait || stepFor(hindrance) !== 'wait' || !steps.wait) throw hindrance;
    return steps.wait(hindrance);
  }
}

/**
 * Runs `act` until it succeeds, doing the step that each problem asks for.
 * `steps` maps names to functions that resolve to true (go on) or false (the user gave up).
 * Returns what `act` returned, or throws the problem that has no step, or null when given up.
 */
export async function through(act, steps) {
  for (let count = 0; ; count += 1) {
    try {
      return await act();
    } catch (problem) {
      const step = steps[stepFor(problem)];
      if (!step || count >= MAX_STEPS) throw problem;
      if (!(await run(step, problem, steps))) return null;
    }
  }
}
