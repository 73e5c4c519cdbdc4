// Reads some rows of one tensor; the file may be larger than the memory.
import { openSafetensors, toFloat32, writeSafetensors } from '@tb/io';

const numbers = Float32Array.from({ length: 4000 }, (_, i) => i);
await writeSafetensors('table.safetensors', { table: { dtype: 'F32', shape: [1000, 4], data: numbers } });

const file = await openSafetensors('table.safetensors'); // reads the header alone
console.log(file.tensors.table?.dtype, file.tensors.table?.shape);
const rows = await file.readRows('table', 500, 502);
console.log(rows.shape, toFloat32(rows));
await file.close();
