import fc from 'fast-check';

/**
 * Property tests draw the same cases on every run, so that a red run is red for everybody; `TB_PROPERTY_SEED` draws
 * others.
 */
fc.configureGlobal({ seed: Number(process.env.TB_PROPERTY_SEED ?? 20250321) });
