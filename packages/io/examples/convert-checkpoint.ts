// Turns the weights of a PyTorch checkpoint into a safetensors file, without Python.
import { fileSha256, readStateDict, writeSafetensors } from '@tb/io';

const weights = await readStateDict('checkpoint.pth', 'state_dict'); // reads only the tensors under this key
await writeSafetensors('weights.safetensors', weights, { metadata: { format: 'pt' } });

for (const [name, { dtype, shape }] of Object.entries(weights)) console.log(`${name} ${dtype} [${shape.join(', ')}]`);
console.log(`sha256 ${await fileSha256('weights.safetensors')}`);
