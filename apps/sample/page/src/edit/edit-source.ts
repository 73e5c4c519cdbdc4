import type { EditRequest, FinishedImage, MessageImage, UploadedImage } from '../../../src/page/messages.js';

/** An image that can be edited. */
export type EditSource = {
  image: MessageImage;
  /** For requests. */
  source: EditRequest['source'];
  label: number | null;
};

export const sourceOfGenerated = ({ image, tokens, label }: FinishedImage): EditSource => ({
  image,
  source: { tokens },
  label,
});

export const sourceOfUploaded = ({ id, square }: UploadedImage): EditSource => ({
  image: square,
  source: { image: id },
  label: null,
});
