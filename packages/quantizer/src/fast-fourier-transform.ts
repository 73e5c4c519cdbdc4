// Discrete Fourier transform of any length, in place: X_k = Σ x_j exp(−2πi·jk/n).

/** Transforms `real + i·imaginary`, both of the length the transform was made for. */
export type FourierTransform = (real: Float64Array, imaginary: Float64Array) => void;

/** A transform of `length` ≥ 1 points: radix 2 for powers of two, Bluestein's convolution otherwise. */
export function fourierTransform(length: number): FourierTransform {
  return (length & (length - 1)) === 0 ? radixTwo(length) : bluestein(length);
}

/** Real and imaginary parts of exp(−iπ·numerator(j)/denominator), j < count. */
function rotations(count: number, numerator: (j: number) => number, denominator: number) {
  const angles = Float64Array.from({ length: count }, (_, j) => (-Math.PI * numerator(j)) / denominator);
  return { real: angles.map(Math.cos), imaginary: angles.map(Math.sin) };
}

/** Cooley and Tukey: reorder by reversed bits, then merge transforms of 1, 2, 4, … points. */
function radixTwo(length: number): FourierTransform {
  const { real: cosines, imaginary: sines } = rotations(length / 2, (j) => 2 * j, length);
  const bits = Math.log2(length);
  const reversed = Uint32Array.from({ length }, (_, i) => {
    let result = 0;
    for (let bit = 0; bit < bits; bit++) result |= ((i >>> bit) & 1) << (bits - 1 - bit);
    return result;
  });
  return (real, imaginary) => {
    reversed.forEach((partner, i) => {
      if (partner <= i) return;
      [real[i], real[partner]] = [real[partner], real[i]];
      [imaginary[i], imaginary[partner]] = [imaginary[partner], imaginary[i]];
    });
    for (let half = 1; half < length; half *= 2) {
      for (let start = 0; start < length; start += 2 * half) {
        for (let j = 0, angle = 0; j < half; j++, angle += length / (2 * half)) {
          const [upper, lower] = [start + j, start + j + half];
          const oddReal = real[lower] * cosines[angle] - imaginary[lower] * sines[angle];
          const oddImaginary = real[lower] * sines[angle] + imaginary[lower] * cosines[angle];
          real[lower] = real[upper] - oddReal;
          imaginary[lower] = imaginary[upper] - oddImaginary;
          real[upper] += oddReal;
          imaginary[upper] += oddImaginary;
        }
      }
    }
  };
}

/** jk = (j² + k² − (k − j)²) / 2 turns the sum into a convolution, which transforms of a power of two evaluate. */
function bluestein(length: number): FourierTransform {
  const padded = 2 ** Math.ceil(Math.log2(2 * length - 1));
  const transform = fourierTransform(padded);
  // exp(−iπ·j²/n) has period 2n in j²; reducing first keeps the angle accurate.
  const chirp = rotations(length, (j) => (j * j) % (2 * length), length);
  const kernelReal = new Float64Array(padded);
  const kernelImaginary = new Float64Array(padded);
  for (let j = 0; j < length; j++) {
    kernelReal[j] = kernelReal[(padded - j) % padded] = chirp.real[j];
    kernelImaginary[j] = kernelImaginary[(padded - j) % padded] = -chirp.imaginary[j];
  }
  transform(kernelReal, kernelImaginary);

  return (real, imaginary) => {
    const a = new Float64Array(padded);
    const b = new Float64Array(padded);
    for (let j = 0; j < length; j++) {
      a[j] = real[j] * chirp.real[j] - imaginary[j] * chirp.imaginary[j];
      b[j] = real[j] * chirp.imaginary[j] + imaginary[j] * chirp.real[j];
    }
    transform(a, b);
    for (let k = 0; k < padded; k++) {
      const product = a[k] * kernelReal[k] - b[k] * kernelImaginary[k];
      // The conjugate, so that the forward transform acts as the inverse.
      b[k] = -(a[k] * kernelImaginary[k] + b[k] * kernelReal[k]);
      a[k] = product;
    }
    transform(a, b);
    for (let k = 0; k < length; k++) {
      const [convolvedReal, convolvedImaginary] = [a[k] / padded, -b[k] / padded];
      real[k] = convolvedReal * chirp.real[k] - convolvedImaginary * chirp.imaginary[k];
      imaginary[k] = convolvedReal * chirp.imaginary[k] + convolvedImaginary * chirp.real[k];
    }
  };
}
