import { onCompile, registerBackendSupport, useBackend } from '@tb/runtime';
import { beforeAll, describe, expect, it } from 'vitest';
import { prepareSteps } from './prepare-steps.js';

const traits = (compilesPerShape: boolean) => () => ({
  compilesPerShape,
  runsAhead: false,
  precisions: ['fp32' as const],
  deviceCount: 1,
});
const pretendToCompile = (compilesPerShape: boolean) =>
  registerBackendSupport('cpu', {
    compile: (fn) => fn,
    traits: traits(compilesPerShape) as never,
    toDevice: (tree) => tree,
  });

const turns = () => new Promise((resolve) => setTimeout(resolve, 30));

describe('prepareSteps', () => {
  beforeAll(() => useBackend('cpu'));

  function begin(keys: string[]) {
    const begun: string[] = [];
    const finish = new Map<string, (error?: Error) => void>();
    let cancelled = 0;
    const programs = prepareSteps(keys, (key) => ({
      key,
      prepare: () => {
        begun.push(key);
        return new Promise<void>((resolve, reject) => {
          finish.set(key, (error) => (error ? reject(error) : resolve()));
        });
      },
      cancel: () => void cancelled++,
    }));
    return { programs, begun, finish, cancelled: () => cancelled };
  }

  it('prepares each program once, in the order of the steps, and a step waits only for its own', async () => {
    pretendToCompile(true);
    const waits: number[] = [];
    const end = onCompile((event) => event.state === 'waited' && waits.push(event.seconds));
    const { programs, begun, finish } = begin(['a', 'a', 'b', 'c', 'b']);
    await turns();
    expect(begun).toEqual(['a', 'b', 'c']);
    finish.get('b')!();
    await programs.untilReady('b');
    const first = programs.untilReady('a');
    await turns();
    finish.get('a')!();
    await first;
    end();
    expect(waits).toHaveLength(1);
    expect(waits[0]).toBeGreaterThan(0.02);
  });

  it('throws the error of a program at the step that needs it, and gives up the rest when stopped', async () => {
    pretendToCompile(true);
    const { programs, begun, finish, cancelled } = begin(['a', 'b', 'c']);
    finish.get('a')!(new Error('no such kernel'));
    programs.stop();
    await turns();
    await expect(programs.untilReady('a')).rejects.toThrow('no such kernel');
    expect([begun, cancelled()]).toEqual([['a'], 1]);
  });

  it('does nothing where nothing is compiled', async () => {
    pretendToCompile(false);
    const { programs, begun } = begin(['a']);
    await programs.untilReady('a');
    expect(begun).toEqual([]);
  });
});
