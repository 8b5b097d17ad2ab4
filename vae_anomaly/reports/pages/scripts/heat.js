// A map of heat over its image: one fixed scale, as the overlays that batch runs draw.

export const HEAT_TOP = 10; // sd of held-out normals, at the hot end
const HEAT_OPACITY = 0.65;
const HEAT_SIDE = 512; // pixels of the longer side that it is drawn with
let heatTable = null;

/** Return red, green, blue and opacity (0 to 255) of a share of the scale: black, red, yellow, white. */
export function heatColour(share) {
  const channels = [3 * share, 3 * share - 1, 3 * share - 2].map((one) => Math.min(Math.max(one, 0), 1));
  return [...channels, HEAT_OPACITY * share].map((one) => Math.round(255 * one));
}

function heatColours() {
  heatTable ??= Array.from({ length: 256 }, (_, grey) => heatColour(grey / 255));
  return heatTable;
}

/** Draw a grey map, an image in base64, on a canvas as large as its image is shown. */
export async function drawHeat(canvas, map, width, height) {
  const grey = new Image();
  grey.src = imageAddress(map);
  await grey.decode();
  const scale = Math.min(1, HEAT_SIDE / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(grey, 0, 0, canvas.width, canvas.height);
  const drawn = context.getImageData(0, 0, canvas.width, canvas.height);
  colourPixels(drawn.data, heatColours());
  context.putImageData(drawn, 0, 0);
}

function colourPixels(pixels, colours) {
  for (let at = 0; at < pixels.length; at += 4) pixels.set(colours[pixels[at]], at);
}

/** Return the address of an image that stands in the page as base64. */
export function imageAddress(text) {
  return `data:image/${text.startsWith("iVBOR") ? "png" : "webp"};base64,${text}`;
}
