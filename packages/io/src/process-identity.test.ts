import { expect, it } from 'vitest';
import { hasEnded, type ProcessIdentity } from './process-identity.js';

const inContainer: ProcessIdentity = {
  pid: 2 ** 22 + 1, // larger than Linux ever gives
  start: 1,
  host: 'f3a9c1',
  machine: '',
  boot: 'b1',
  pidNamespace: 'pid:[11]',
  hostNamespace: 'uts:[11]',
};
const onHost = { ...inContainer, host: 'server', hostNamespace: 'uts:[4026531838]' };

it.each<[string, ProcessIdentity, Partial<ProcessIdentity>, boolean | undefined]>([
  ['of this place', inContainer, {}, true],
  ['of a container that was started again', inContainer, { pidNamespace: 'pid:[12]', hostNamespace: 'uts:[12]' }, true],
  ['of another container with the name of the host', onHost, { pidNamespace: 'pid:[12]' }, undefined],
  [
    'of this host, seen from a container with its name',
    onHost,
    { hostNamespace: 'uts:[12]', pidNamespace: 'pid:[12]' },
    undefined,
  ],
  ['of another computer', inContainer, { host: 'a77e02' }, undefined],
  ['of another computer with the same name', inContainer, { machine: 'other', boot: 'b2' }, undefined],
  ['from before the computer was started', onHost, { boot: 'b2' }, true],
  ['of a system that does not report when it was started', { ...onHost, boot: '' }, { boot: 'b2' }, undefined],
])('knows whether a process %s has ended', (_, owner, here, ended) => {
  expect(hasEnded(owner, { ...owner, pid: process.pid, ...here })).toBe(ended);
});
