// Inspected items: images with what lies over them, rows with what each column adds.

import { cellsOf, contributionsOf } from "./contributions.js";
import { regionsOf } from "./details.js";
import { byId, element } from "./dom.js";
import { readFacts } from "./facts.js";
import { emptyFrame, fillFrame } from "./frame.js";
import { heatLegend, Layers } from "./layers.js";
import { pastOf } from "./past.js";

/** Return an image as it is, and with its layers; beside them what the model expected. */
function imagesOf(image) {
  const plain = { ...image, heat: "", contours: [], regions: [], reconstruction: null };
  const figures = [
    ["Image", plain],
    ["Where it differs", { ...image, reconstruction: null }],
  ];
  if (image.reconstruction) figures.push(["What the model expected", { ...plain, thumbnail: image.reconstruction }]);
  return element("div", { class: "inspected__images" }, ...figures.map(([name, shown]) => framed(name, shown)));
}

function framed(name, image) {
  const frame = emptyFrame(image);
  fillFrame(frame, image);
  return element("figure", {}, frame, element("figcaption", {}, name));
}

function titledPart(name, part) {
  return part && element("section", {}, element("h3", {}, name), part);
}

function aboutItem(item) {
  if (item.image) return [imagesOf(item.image), titledPart("Regions", regionsOf(item.image))];
  if (!item.row) return [];
  const { row } = item;
  return [
    row.contributions.length > 0 && titledPart("What each column adds", contributionsOf(row)),
    row.past.length > 0 && titledPart("Before", element("div", { class: "pasts" }, ...row.past.map(pastOf))),
    row.cells.length > 0 && cellsOf(row),
  ];
}

const inspectedItems = readFacts().items;
for (const place of document.querySelectorAll("[data-inspected]"))
  place.append(...aboutItem(inspectedItems[Number(place.dataset.inspected)]).filter(Boolean));
if (inspectedItems.some((item) => item.image)) {
  const tools = byId("tools");
  tools.append(new Layers(false).switches(), heatLegend());
  tools.hidden = false;
}
