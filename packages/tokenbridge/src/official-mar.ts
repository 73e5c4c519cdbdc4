import { assertTokenBridgeConfig, type MarConfig } from './model.js';
import { assertArguments, type CommonArguments, commonArguments, commonConfig } from './official-arguments.js';

// Configurations of MAR's models from the arguments of its code's constructor.

/** The defaults of MAR's constructor. */
const defaults = {
  patch_size: 1,
  mlp_ratio: 4,
  mask_ratio_min: 0.7,
  label_drop_prob: 0.1,
  attn_dropout: 0.1,
  proj_dropout: 0.1,
  diffusion_batch_mul: 4,
};

type AllArguments = CommonArguments & { diffloss_d: number; diffloss_w: number; diffusion_batch_mul: number };

/** The constructor arguments of MAR's `MAR` class that decide what the model is. Those with a default there may be left out. */
export type MarArguments = Omit<AllArguments, keyof typeof defaults> & Partial<typeof defaults>;

/**
 * Translates the arguments of MAR's constructor to a configuration. `num_sampling_steps` is an option of `generate`
 * (`denoisingSteps`), and `grad_checkpointing` one of `loss`.
 *
 * @throws InputError if an argument is missing, or is one that no model here can have
 */
export function configFromMar(given: MarArguments): MarConfig {
  const official: AllArguments = { ...defaults, ...given };
  const names = { ...commonArguments, diffloss_d: true, diffloss_w: true, diffusion_batch_mul: true } as const;
  assertArguments('configFromMar', official, names);
  const config: MarConfig = {
    ...commonConfig(official),
    head: {
      kind: 'diffusion',
      width: official.diffloss_w,
      depth: official.diffloss_d,
      timestepsPerPosition: official.diffusion_batch_mul,
    },
  };
  assertTokenBridgeConfig(config);
  return config;
}
