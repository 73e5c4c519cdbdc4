import { copyRowsHere, registerBlockCopies } from './block-copies.js';
import { registerConvolutionGradients } from './convolution.js';
import { registerDataMovement } from './data-movement.js';
import { registerLeadingSum } from './leading-sum.js';
import { registerMatrixProduct } from './matrix-product.js';
import { registerSegmentSum } from './segment-sum.js';

let registered = false;

/** Gives the WASM backend the kernels that training needs and it lacks, and faster ones where its own are slow. Further calls do nothing. */
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
