import { library } from '../../tsup.base.js';
import { tfjsGradients } from './scripts/tfjs-gradients.js';

export default library({
  entry: { index: 'src/index.ts', 'tensorflow/index': 'src/backends/tensorflow/index.ts' },
  browser: { index: 'src/index.ts' },
  esbuildPlugins: [tfjsGradients()],
});
