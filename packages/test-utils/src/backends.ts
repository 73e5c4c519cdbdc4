/**
 * The backends that a suite runs on: those that `TB_TEST_BACKENDS` names, separated by commas; wasm by default.
 * For `describe.each(testBackends)('on %s', (backend) => { beforeAll(() => useBackend(backend)); … })`.
 */
export const testBackends = (process.env.TB_TEST_BACKENDS || 'wasm').split(',') as TestBackend[];

export type TestBackend = 'xla' | 'tensorflow' | 'wasm' | 'cpu';
