export { centreCrop } from './centre-crop.js';
export { decodeImage, imageExtension, imageSize } from './decode.js';
export { contentOf, type FittedImage, fitToSquare } from './fit.js';
export { type ImageGridOptions, imageGrid, zoomTo } from './grid.js';
export { cropPixels, mirrorPixels, type Pixels } from './pixels.js';
export { encodePng, readPngSettings, withPngSettings } from './png.js';
export { bicubic, box, resample } from './resample.js';
