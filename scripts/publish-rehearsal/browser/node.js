import { readFile } from 'node:fs/promises';
import { sample } from './sample.js';

const [model, vae] = process.argv.slice(2);
console.log(JSON.stringify(await sample(await readFile(model), await readFile(vae))));
