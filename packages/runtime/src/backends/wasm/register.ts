import { copyRowsHere, registerBlockCopies } from './block-copies.js';
import { registerConvolutionGradients } from './convolution.js';
import { registerDataMovement } from './data-movement.js';
import { registerLeadingSum } from './leading-sum.js';
import { registerMatrixProduct } from './matrix-product.js';
import { registerSegmentSum } from './segment-sum.js';

let registered = false;

/** Adds the kernels that training needs and the WASM backend lacks, and faster ones for some that it has. Further calls do nothing. */
export function registerTrainingKernels(): void {
  if (registered) return;
  registered = true;
  registerMatrixProduct();
  registerConvolutionGradients();
  registerSegmentSum();
  registerDataMovement();
  registerBlockCopies(copyRowsHere);
  registerLeadingSum();
}
