// Starts the worker of sealed views. The page's policy lets one script become a worker.

/** The only address that the policy `sightline-worker` lets through. */
export const WORKER = '/assets/sealed/worker.js';

const only = {
  createScriptURL: (address) => {
    if (address !== WORKER) throw new TypeError(`${address} is not the worker`);
    return address;
  },
};
const policy = globalThis.trustedTypes?.createPolicy('sightline-worker', only) ?? only;

/** A new worker. */
export const startWorker = () => new Worker(policy.createScriptURL(WORKER), { type: 'module', name: 'sealed' });
