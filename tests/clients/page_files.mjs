// Serves the page's files from the working copy, on a port of its own, as the server does: under
// its policy. Files of tests are beside them under /tests/.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLIENTS = dirname(fileURLToPath(import.meta.url));
const ROOTS = { '/assets/': join(CLIENTS, '../../signaling/web'), '/tests/': CLIENTS };
const KINDS = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** Starts serving; resolves to `{origin, close}`. `policy` is the content security policy. */
export async function servePage(policy) {
  const server = createServer((request, response) => {
    const path = normalize(request.url.split('?')[0]);
    const prefix = Object.keys(ROOTS).find((one) => path.startsWith(one));
    response.setHeader('Content-Security-Policy', policy);
    if (!prefix) {
      response.setHeader('Content-Type', 'text/html');
      // `/page` is the page itself; anywhere else is an empty one for modules.
      const index = join(ROOTS['/assets/'], 'index.html');
      response.end(path === '/page' ? readFileSync(index) : '<!doctype html><title>Sightline</title><body>');
      return;
    }
    try {
      const text = readFileSync(join(ROOTS[prefix], path.slice(prefix.length)));
      response.setHeader('Content-Type', KINDS[extname(path)] ?? 'application/octet-stream');
      response.end(text);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, close: () => server.close() };
}
