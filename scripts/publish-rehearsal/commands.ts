// The command lines as an installed user has them: from a folder of images to a generated image, in a few steps.
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { published } from './packages.js';
import type { Registry } from './registry.js';
import { assert, root, run, step } from './scratch.js';

/** @param installed - the folder in which all packages are installed */
export async function useCommands(registry: Registry, installed: string): Promise<void> {
  const cwd = join(installed, 'commands');
  const photos = readdirSync(join(root, 'apps/train/demo/photos')).filter((name) => /\.(png|jpg)$/.test(name));
  for (const [i, photo] of photos.slice(0, 4).entries()) {
    const label = join(cwd, 'images', i % 2 === 0 ? 'even' : 'odd');
    mkdirSync(label, { recursive: true });
    cpSync(join(root, 'apps/train/demo/photos', photo), join(label, photo));
  }
  const command = (line: string) =>
    step(line, () => run('npx', ['--no-install', ...line.split(' ')], { cwd, timeout: 300_000 }));

  for (const { name, commands } of published) {
    const manifest = await registry.manifest(name);
    for (const each of commands) {
      const printed = (await command(`${each} --version`)).trim();
      assert(printed === manifest?.version, `${each} --version prints ${printed}; ${name} is ${manifest?.version}`);
    }
  }
  assert(/wasm/.test(await command('tb-train doctor')), 'tb-train doctor does not report wasm');
  await command('tb-sample generate --classes 0,1 --num-iter 4 --grid demo.png');
  const size = '--image-size 64 --batch 2 --steps 4 --backend wasm';
  await command(`tb-train vae --data images ${size} --out runs/vae`);
  await command(`tb-train model --data images --vae runs/vae ${size} --out runs/model`);
  await command('tb-sample generate --model runs/model --num-iter 4 --grid own.png');
  for (const file of ['demo.png', 'own.png', 'runs/model/model.safetensors', 'runs/model/report.html'])
    assert(existsSync(join(cwd, file)), `${file} was not written`);
}
