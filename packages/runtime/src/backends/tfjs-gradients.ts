// Registers the gradients of TensorFlow.js's operations when it is imported. The build puts a bundle of them in the place of
// this file; run from sources, it has one made. See scripts/tfjs-gradients.ts for the reason.
import { bundleGradients } from '../../scripts/tfjs-gradients.js';

await import(/* @vite-ignore */ await bundleGradients());
