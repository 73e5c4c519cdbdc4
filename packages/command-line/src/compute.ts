// What loads the engine and the models: imported by what a command runs, not by what describes it.
export { type LoadedVae, loadVaeFile } from './load-vae.js';
export { startEngine } from './start-engine.js';
