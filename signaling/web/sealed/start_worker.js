// Starts workers. The page's policy lets two scripts become one: that of sealed views, and the one
// that solves puzzles.

/** The only addresses that the policy `sightline-worker` lets through. */
export const WORKER = '/assets/sealed/worker.js';
const SOLVER = '/assets/work.js';

const only = {
  createScriptURL: (address) => {
    if (address !== WORKER && address !== SOLVER) throw new TypeError(`${address} is no worker`);
    return address;
  },
};
const policy = globalThis.trustedTypes?.createPolicy('sightline-worker', only) ?? only;

/** A new worker that solves one puzzle. */
export const startSolver = () => new Worker(policy.createScriptURL(SOLVER), { type: 'module', name: 'work' });

/** A new worker of a sealed view. */
export const startWorker = () => new Worker(policy.createScriptURL(WORKER), { type: 'module', name: 'sealed' });
