// A small key-value store in IndexedDB. CryptoKeys are kept as they are: usable, never readable.

const NAME = 'sightline';
const STORE = 'values';
let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function run(mode, act) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode);
    const request = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export const get = (key) => run('readonly', (store) => store.get(key));
export const put = (key, value) => run('readwrite', (store) => store.put(value, key));
export const remove = (key) => run('readwrite', (store) => store.delete(key));
export const names = () => run('readonly', (store) => store.getAllKeys());
