import { describe, expect, it } from 'vitest';
import { encodeCompileOptions } from './compile-options.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('encodeCompileOptions', () => {
  it('encodes four replicas as XLA itself does', () => {
    const expected = `1a1d08${'ff'.repeat(9)}01200428014a0c080410011a060a0400010203`;
    expect(hex(encodeCompileOptions({ replicas: 4 }, [0, 1, 2, 3]))).toBe(expected);
  });

  it('encodes each kind of flag in its own field', () => {
    const encoded = hex(encodeCompileOptions({ flags: { a: '', b: false, c: 300, d: 0.5 } }, [0]));
    expect(encoded).toContain('3a070a016112020a00'); // a: string ""
    expect(encoded).toContain('3a070a016212021000'); // b: bool false
    expect(encoded).toContain('3a080a0163120318ac02'); // c: int64 300
    expect(encoded).toContain('3a0e0a0164120921000000000000e03f'); // d: double 0.5
  });

  it('refuses what would end the process or be meaningless', () => {
    expect(() => encodeCompileOptions({ replicas: 0 }, [])).toThrow('at least 1');
    expect(() => encodeCompileOptions({ replicas: 2 }, [0])).toThrow('2 on 1 devices');
    expect(() => encodeCompileOptions({ flags: { slop: Number.NaN } }, [0])).toThrow('flag slop must be finite');
  });
});
