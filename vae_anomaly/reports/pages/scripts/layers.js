// Switches of what lies over images, and the legend of their one scale of heat.

import { element } from "./dom.js";
import { HEAT_TOP, heatColour } from "./heat.js";
import { keep, kept } from "./store.js";

const LAYERS_KEY = "vae-anomaly:layers";
const LAYER_NAMES = { heat: "Heatmap", outline: "Outline", boxes: "Boxes", expected: "Expected" };
const SHOWN_AT_FIRST = ["heat", "outline"];

/** What lies over the images of the page; all switches of a layer go together. */
export class Layers {
  constructor(hasExpected) {
    this.names = Object.keys(LAYER_NAMES).filter((name) => hasExpected || name !== "expected");
    const chosen = kept(LAYERS_KEY, SHOWN_AT_FIRST);
    this.shown = new Set(Array.isArray(chosen) ? chosen.filter((name) => name in LAYER_NAMES) : SHOWN_AT_FIRST);
    this.buttons = [];
    this.show();
  }

  /** Return a switch for each layer. */
  switches() {
    const made = this.names.map((name) =>
      element("button", { type: "button", class: "segment", dataset: { layer: name }, onclick: () => this.turn(name) }, LAYER_NAMES[name]),
    );
    this.buttons.push(...made);
    this.show();
    return element("div", { class: "segments", role: "group", "aria-label": "Over the image" }, ...made);
  }

  turn(name) {
    if (!this.shown.delete(name)) this.shown.add(name);
    keep(LAYERS_KEY, [...this.shown]);
    this.show();
  }

  show() {
    document.body.dataset.layers = [...this.shown].join(" ");
    for (const button of this.buttons)
      button.setAttribute("aria-pressed", String(this.shown.has(button.dataset.layer)));
  }
}

/** Return the legend of the heat, from 0 to the end of the scale. */
export function heatLegend() {
  const scale = element("canvas", { class: "legend__scale", width: 128, height: 1, "aria-hidden": "true" });
  const context = scale.getContext("2d");
  for (let at = 0; at < scale.width; at += 1) {
    const [red, green, blue] = heatColour(at / (scale.width - 1));
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(at, 0, 1, 1);
  }
  return element("p", { class: "legend" }, "0", scale, `${HEAT_TOP} sd above normal; one scale for all images`);
}
