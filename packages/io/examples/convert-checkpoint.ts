// Turns the weights of a PyTorch checkpoint into a safetensors file, without Python:
//   node --import tsx examples/convert-checkpoint.ts kl16.ckpt model kl16.safetensors
import { fileSha256, readStateDict, writeSafetensors } from '@tb/io';

const [checkpoint, key, target] = process.argv.slice(2);
if (checkpoint === undefined || key === undefined || target === undefined) {
  throw new Error('usage: convert-checkpoint CHECKPOINT KEY TARGET.safetensors');
}

const weights = await readStateDict(checkpoint, key);
await writeSafetensors(target, weights, { metadata: { format: 'pt' } });

for (const [name, { dtype, shape }] of Object.entries(weights)) console.log(`${name} ${dtype} [${shape.join(', ')}]`);
console.log(`sha256 ${await fileSha256(target)}`);
