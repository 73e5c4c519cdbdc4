export { centreCrop } from './centre-crop.js';
export {
  type DecodeOptions,
  decodeImage,
  defaultMaxPixels,
  ImageError,
  type ImageHeader,
  readImageFormat,
  readImageHeader,
} from './decode.js';
export { contentOf, type FittedImage, fitToSquare } from './fit.js';
export { endingOf, formatOfName, type ImageFormat, isUnreadEnding } from './formats.js';
export { type ImageGridOptions, imageGrid, zoomTo } from './grid.js';
export {
  assertNotEmpty,
  byName,
  type ClassListing,
  describeLeftOut,
  describeListing,
  type ImageClass,
  type ImageListing,
  type LeftOut,
  listClasses,
  listImages,
} from './list.js';
export { cropPixels, mirrorPixels, type Pixels, squareImages } from './pixels.js';
export { encodePng, readPngSettings, withPngSettings } from './png.js';
export { bicubic, box, resample } from './resample.js';
