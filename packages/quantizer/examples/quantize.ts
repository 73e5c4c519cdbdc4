import { calibrate, createQuantizer, packCodes, report, unpackCodes } from '@tb/quantizer';

// Latents [N, height, width, C], flat, channels last: here 4 images of 16 × 16 positions with 16 channels.
const channels = 16;
const latents = Float32Array.from(
  { length: 4 * 16 * 16 * channels },
  (_, i) => Math.sin(i) + Math.sin(1.7 * i) + Math.sin(2.9 * i),
);

const quantizer = createQuantizer({ levels: 64, ...calibrate(latents, { channels }) });
const indices = quantizer.quantize(latents); // Uint8Array
const restored = quantizer.dequantize(indices); // Float32Array

const { mean } = report(indices, { quantizer, latents });
console.log(`${mean.entropy.toFixed(2)} bits per channel, mean squared error ${mean.meanSquaredError.toFixed(5)}`);

const file = packCodes(indices, { levels: 64, shape: [4, 16, 16, channels] });
console.log(`${file.length} bytes for ${indices.length} indices, ${unpackCodes(file).shape.join(' × ')}`);
console.log(`first value ${latents[0].toFixed(3)} became index ${indices[0]}, then ${restored[0].toFixed(3)}`);
