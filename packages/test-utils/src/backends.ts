/**
 * The backends that a suite runs on: those that `TB_TEST_BACKENDS` names, separated by commas; wasm by default.
 * For `describe.each(testBackends)('on %s', (backend) => { beforeAll(() => useBackend(backend)); … })`.
 */
export const testBackends = (process.env.TB_TEST_BACKENDS || 'wasm').split(',') as TestBackend[];

/** The backend of suites that run on one: the first of `testBackends`. */
export const testBackend: TestBackend = testBackends[0];

export type TestBackend = 'xla' | 'tensorflow' | 'wasm' | 'cpu';
