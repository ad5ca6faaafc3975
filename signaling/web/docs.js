// The page of the API: shows the description that the server hands out.

import { h, say, translateAll } from './dom.js';
import { has, language, setLanguage } from './i18n.js';

/** Deepest schema that is written out; a type that holds itself would go on for ever. */
const MAX_DEPTH = 6;

const $ = (id) => document.getElementById(id);
let description;

start();

async function start() {
  speak();
  $('language').addEventListener('click', () => {
    setLanguage(language() === 'zh' ? 'en' : 'zh');
    speak();
  });
  $('find').addEventListener('input', filter);
  try {
    const answer = await fetch('/v1/openapi.json');
    if (!answer.ok) throw new Error(String(answer.status));
    description = await answer.json();
    show();
  } catch (error) {
    say($('state'), 'docs.failed', { reason: error.message });
  }
}

function speak() {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  translateAll();
}

/** Operations by group, both in the order of their names. */
function grouped() {
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const group = operation.tags[0];
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push({ path, method, ...operation });
    }
  }
  return [...groups].sort(([one], [other]) => one.localeCompare(other));
}

function show() {
  for (const [group, operations] of grouped()) {
    const id = `group-${group}`;
    $('groups').append(h('a', { href: `#${id}` }, group));
    const section = h('section', { class: 'docs-group', id }, h('h2', {}, group));
    section.append(...operations.map(operationView));
    $('operations').append(section);
  }
  $('groups').append(h('a', { href: '#problems', t: 'docs.problems' }));
  $('operations').append(problemsView());
  $('state').hidden = true;
  open();
  addEventListener('hashchange', open);
}

/** Opens what the address names. */
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === 'DETAILS') target.open = true;
  target?.scrollIntoView();
}

function operationView(operation) {
  const inside = h('div', {});
  const details = h(
    'details',
    { class: 'docs-operation', id: operation.operationId, testid: 'operation' },
    h(
      'summary',
      {},
      h('span', { class: 'docs-method' }, operation.method),
      h('span', { class: 'mono grow' }, operation.path),
      h('span', { class: 'muted' }, operation.summary),
    ),
    inside,
  );
  // Written out when it is first opened.
  details.addEventListener('toggle', () => {
    if (details.open && !inside.hasChildNodes()) inside.append(...contents(operation));
  });
  return details;
}

function contents(operation) {
  const parts = [facts(operation)];
  const parameters = operation.parameters ?? [];
  if (parameters.length > 0) parts.push(part('docs.parameters', members(parameters.map(asMember))));
  for (const [kind, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    parts.push(part('docs.body', h('p', { class: 'mono small' }, kind), schemaView(schema, 0)));
  }
  const statuses = Object.entries(operation.responses).sort(([one], [other]) => one - other);
  parts.push(part('docs.answers', h('dl', {}, statuses.flatMap(answerView))));
  return parts;
}

function facts(operation) {
  const [rule, scope] = operation['x-rule'].split(':');
  const key = `docs.rule.${rule}`;
  const words = has(key) ? h('dd', { t: key, tp: { scope: scope ?? '' } }) : h('dd', {}, rule);
  return h(
    'dl',
    {},
    h('dt', { t: 'docs.rule' }),
    words,
    h('dt', { t: 'docs.purpose' }),
    h('dd', { class: 'mono' }, operation['x-purpose']),
  );
}

const part = (key, ...content) => h('section', {}, h('h3', { t: key }), ...content);

const asMember = ({ name, schema, required, in: place }) => ({ name, schema, required, place });

function answerView([status, answer]) {
  const shared = answer.$ref?.split('/').pop();
  const { description: words, content = {} } = description.components.responses[shared] ?? answer;
  const views = Object.entries(content).map(([kind, { schema }]) =>
    kind === 'application/problem+json' ? refusalView(schema) : schemaView(schema, 0),
  );
  const told = views.length > 0 ? views : [words];
  return [h('dt', {}, status), h('dd', {}, ...told)];
}

function refusalView(schema) {
  const types = schema.allOf[1].properties.type.enum;
  const line = (type) => {
    const name = type.split('/').pop();
    const means = description['x-problems'][name]?.means ?? '';
    return h('li', {}, h('a', { class: 'mono', href: `#problem-${name}` }, name), ` ${means}`);
  };
  return h('ul', {}, types.map(line));
}

function problemsView() {
  const entries = Object.entries(description['x-problems']).flatMap(([name, { status, means }]) => [
    h('dt', { class: 'mono', id: `problem-${name}` }, `${status} ${name}`),
    h('dd', {}, means),
  ]);
  return h(
    'section',
    { class: 'docs-group docs-operation', id: 'problems' },
    h('div', {}, h('h2', { t: 'docs.problems' }), h('dl', {}, entries)),
  );
}

function resolve(schema) {
  const name = schema.$ref?.split('/').pop();
  return name ? { name, ...description.components.schemas[name] } : schema;
}

function schemaView(given, depth) {
  const schema = resolve(given);
  const below = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (depth > MAX_DEPTH) return h('span', {}, '…');
  if (below) return h('div', { class: 'docs-members' }, below.map((one) => schemaView(one, depth + 1)));
  if (schema.properties) {
    const required = schema.required ?? [];
    const list = Object.entries(schema.properties).map(([name, member]) => ({
      name,
      schema: member,
      required: required.includes(name),
    }));
    return members(list, depth);
  }
  if (schema.items) return h('div', {}, h('span', { class: 'muted' }, '[ ]'), schemaView(schema.items, depth + 1));
  return h('span', { class: 'mono muted' }, kindOf(schema));
}

function members(list, depth = 0) {
  const line = ({ name, schema, required, place }) => {
    const resolved = resolve(schema);
    const deep = resolved.properties || resolved.items || resolved.oneOf || resolved.allOf;
    return h(
      'li',
      {},
      h('code', { class: 'mono' }, name),
      ' ',
      h('span', { class: 'muted small' }, kindOf(resolved), place ? ` · ${place}` : ''),
      required ? null : h('span', { class: 'muted small', t: 'docs.optional' }),
      resolved.description ? ` ${resolved.description}` : null,
      deep ? schemaView(resolved, depth + 1) : null,
    );
  };
  return h('ul', { class: 'docs-members' }, list.map(line));
}

function kindOf(schema) {
  if (schema.enum) return schema.enum.join(' | ');
  const type = Array.isArray(schema.type) ? schema.type.join(' | ') : schema.type;
  return type ?? (schema.properties ? 'object' : '');
}

function filter() {
  const wanted = $('find').value.trim().toLowerCase();
  for (const section of document.querySelectorAll('.docs-group')) {
    let some = false;
    for (const details of section.querySelectorAll('details')) {
      const fits = details.querySelector('summary').textContent.toLowerCase().includes(wanted);
      details.hidden = !fits;
      some ||= fits;
    }
    section.hidden = wanted !== '' && !some;
  }
}
