// What loads the backend and the models: imported by what a command runs, not by what describes it.
export { type LoadedVae, loadVaeFile } from './load-vae.js';
export { startBackend, startEngine } from './start-backend.js';
