// The page of a model: its sections fold, and its strangest training items are looked at.

import { byId, element } from "./dom.js";
import { readFacts } from "./facts.js";
import { startFolds } from "./folds.js";
import { galleryOf } from "./gallery.js";
import { heatLegend, Layers } from "./layers.js";
import { rowListOf } from "./rows.js";
import { Viewer } from "./viewer.js";

const SHOWN_FIRST = 8; // of the strangest

function showStrangest(items) {
  const hasImages = items.some((item) => item.image);
  const layers = hasImages ? new Layers(false) : null;
  const made = hasImages ? imageMaker(items, layers) : rowListOf(null, { inspect: "" });
  const list = element("ol", { class: hasImages ? "gallery" : "rows", role: "list" }, ...items.map(made));
  const tools = hasImages && element("div", { class: "strangest__tools" }, layers.switches(), heatLegend());
  byId("strangest-items").append(...[tools, list, restOf([...list.children])].filter(Boolean));
}

function imageMaker(items, layers) {
  const cards = new Map();
  const viewer = new Viewer({
    store: null,
    switches: layers.switches(),
    about: { inspect: "", anyExpected: false },
    onLeave: (item) => cards.get(item)?.querySelector("button").focus(),
  });
  const cardFor = galleryOf(null, (item) => viewer.open(item, items));
  return (item) => {
    cards.set(item, cardFor(item));
    return cards.get(item);
  };
}

/** Hide all but the first; return the button that shows them, where there are more. */
function restOf(shown) {
  const rest = shown.slice(SHOWN_FIRST);
  if (!rest.length) return null;
  const reveal = () => {
    for (const one of rest) one.hidden = false;
    button.remove();
    rest[0].querySelector("button").focus();
  };
  const button = element("button", { type: "button", class: "button strangest__more", onclick: reveal }, `Show all ${shown.length}`);
  for (const one of rest) one.hidden = true;
  return button;
}

const strangestItems = readFacts().items;
if (strangestItems.length) showStrangest(strangestItems);
startFolds();
