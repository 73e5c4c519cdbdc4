import { describe, expect, it } from 'vitest';
import { failureOf, type Member } from './store-members.js';

const patience = { lostMs: 25_000, joinMs: 300_000 };
const member = (index: number, changes: Partial<Member> = {}, beat: Partial<Member['beat']> = {}): Member => ({
  index,
  host: `h${index}`,
  pid: 10 + index,
  beat: { step: 7, idleMs: 0, limitMs: 40_000, ...beat },
  beatAt: 100_000,
  hasLeft: false,
  ...changes,
});
const failure = (members: Member[], { count = members.length, now = 101_000 } = {}) =>
  failureOf(members, { count, startedAt: 0, now }, patience);

describe('failureOf', () => {
  it('finds nothing wrong with processes that are heard of and make progress', () => {
    expect(failure([member(0), member(1, {}, { step: 8 })])).toBeUndefined();
    expect(failure([member(0), member(1, { hasLeft: true, beatAt: 0 })])).toBeUndefined();
    expect(failure([member(0, { hasLeft: true }), member(1, { hasLeft: true })])).toBeUndefined();
  });

  it('names a process that is silent', () => {
    expect(failure([member(0), member(1, { beatAt: 70_000 })])).toBe(
      'process 1 (host h1, PID 11), last step 7, has not been heard from for 31 s',
    );
  });

  it('names processes that have not joined, once the time is up', () => {
    expect(failure([member(0)], { count: 3 })).toBeUndefined();
    expect(failure([member(0, { beatAt: 300_000 })], { count: 3, now: 301_000 })).toBe(
      'processes 1, 2 of 3 have not joined within 300 s',
    );
  });

  it('names the slowest of those that make no progress, and excuses what has its own limit', () => {
    const waits = member(0, {}, { step: 8, idleMs: 60_000 });
    expect(failure([waits, member(1, {}, { idleMs: 50_000 })])).toBe(
      'process 1 (host h1, PID 11), last step 7, makes no progress for 51 s',
    );
    const saves = member(1, {}, { step: 7, phase: 'saving', idleMs: 60_000, limitMs: 600_000 });
    expect(failure([waits, saves])).toBeUndefined();
    expect(failure([waits, member(1, {}, { ...saves.beat, idleMs: 600_000 })])).toMatch(
      /last step 7, saving, makes no/,
    );
    expect(failure([member(0, {}, { idleMs: 60_000 }), saves])).toBeUndefined();
    expect(failure([member(0, {}, { idleMs: 60_000 }), member(1, {}, { idleMs: 60_000 })])).toMatch(
      /^processes 0, 1 make no progress for 61 s: process 0 \(host h0/,
    );
  });
});
