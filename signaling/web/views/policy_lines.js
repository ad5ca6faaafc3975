// Where the policy of a purpose comes from, and what it stands in place of.

import { h } from '../dom.js';
import { purposeText } from './dialogs.js';

/** Where what is in force comes from, and what it stands in place of. */
function originOf({ policy_id: policy, version, overrides }) {
  if (!overrides) return [h('p', { class: 'muted small', t: 'policy.general', tp: { version } })];
  const members = overrides.members.map((member) => h('span', { class: 'tag', t: `policy.member.${member}` }));
  return [
    h('p', { class: 'small', t: 'policy.product', tp: { policy, version } }),
    h('p', { class: 'muted small', t: 'policy.overrides', tp: { version: overrides.version } }),
    members.length ? h('div', { class: 'row wrap' }, h('span', { class: 'hint', t: 'policy.members' }), ...members) : null,
  ];
}

/** Every purpose with what is in force of it. */
export const policyLines = (purposes) => purposes.map((item) =>
  h('li', { testid: `policy-${item.id}`, data: { from: item.from } }, h('div', { class: 'grow' },
    h('strong', { class: 'mono' }, item.id), ...originOf(item),
    h('details', {}, h('summary', { t: 'policy.text' }), ...purposeText(item)))));
