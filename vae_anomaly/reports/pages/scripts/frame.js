// One image with what lies over it: heat, outline, regions, and what the model expected instead.

import { element, svgElement } from "./dom.js";
import { drawHeat, imageAddress } from "./heat.js";

/** Return an empty frame of an image's shape; `fillFrame` puts the image in. */
export function emptyFrame(image) {
  const shape = image.width >= image.height ? "frame--wide" : "frame--tall";
  const frame = element("span", { class: `frame ${shape}` });
  frame.style.aspectRatio = `${image.width} / ${image.height}`;
  return frame;
}

/** Put an image and its layers into a frame; which of them are seen, the page's switches say. */
export function fillFrame(frame, image) {
  const heat = element("canvas", { class: "frame__heat", "aria-hidden": "true" });
  frame.replaceChildren(
    photo(image.thumbnail, "frame__image"),
    ...(image.reconstruction ? [photo(image.reconstruction, "frame__expected")] : []),
    heat,
    outlineOf(image),
    ...image.regions.map((region) => boxOf(region, image)),
    ...image.regions.slice(0, 1).map((region) => crossOf(region, image)),
  );
  if (image.heat) drawHeat(heat, image.heat, image.width, image.height).catch(() => heat.remove());
}

function photo(text, name) {
  const source = imageAddress(text);
  return element("img", { class: name, src: source, alt: "", decoding: "async", draggable: "false" });
}

function outlineOf(image) {
  const lines = image.contours.map(pathOf).join("");
  const path = (name) =>
    svgElement("path", { class: name, d: lines, "vector-effect": "non-scaling-stroke" });
  return svgElement(
    "svg",
    {
      class: "frame__outline",
      viewBox: "0 0 1 1",
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    path("frame__outline-under"),
    path("frame__outline-line"),
  );
}

function pathOf(points) {
  const pairs = [];
  for (let at = 0; at + 1 < points.length; at += 2) pairs.push(`${points[at]} ${points[at + 1]}`);
  return pairs.length ? `M${pairs.join("L")}Z` : "";
}

const part = (value, whole) => `${(100 * value) / whole}%`;

/** Mark where an image is hottest; results of an earlier version do not tell. */
function crossOf(region, image) {
  if (region.peak_x === null) return "";
  const cross = element("span", { class: "frame__peak" });
  cross.style.left = part(region.peak_x, image.width);
  cross.style.top = part(region.peak_y, image.height);
  return cross;
}

function boxOf(region, image) {
  const label = element("span", { class: "frame__size" }, sizeText(region));
  const box = element("span", { class: "frame__box" }, label);
  box.style.left = part(region.left, image.width);
  box.style.top = part(region.top, image.height);
  box.style.width = part(region.right - region.left, image.width);
  box.style.height = part(region.bottom - region.top, image.height);
  if (region.top < 0.12 * image.height) box.classList.add("frame__box--label-below");
  if (region.left > 0.6 * image.width) box.classList.add("frame__box--label-left");
  return box;
}

/** Return the size of a region: "31 × 12 px". */
export function sizeText(region) {
  return `${region.right - region.left} × ${region.bottom - region.top} px`;
}
