import { library } from '../../tsup.base.js';

export default library({
  entry: {
    index: 'src/index.ts',
    'store-worker': 'src/pjrt/store-worker.ts',
    'callback-worker': 'src/pjrt/callback-worker.ts',
    'compile-worker': 'src/pjrt/compile-worker.ts',
  },
});
