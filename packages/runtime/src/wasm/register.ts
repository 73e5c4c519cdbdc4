import { registerConvolutionGradients } from './convolution.js';
import { registerMatrixProduct } from './matrix-product.js';
import { registerSegmentSum } from './segment-sum.js';

/** Gives the WASM backend the kernels that training needs and it lacks, and faster ones where its own are slow. */
export function registerTrainingKernels(): void {
  registerMatrixProduct();
  registerConvolutionGradients();
  registerSegmentSum();
}
