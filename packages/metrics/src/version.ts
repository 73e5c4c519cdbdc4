/** Version of this package. The build copies it out of the manifest, so that the package can be bundled into another. */
export { version } from '../package.json';
