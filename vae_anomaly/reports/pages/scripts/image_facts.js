// What stands beside an image in the viewer.

import { commandLine, figuresOf, inspectCommand, reasonsOf, regionsOf, relativeLink, roleOf } from "./details.js";
import { element } from "./dom.js";

/**
 * Return the parts that describe an image. `about.inspect` is the command that explains one item;
 * `about.anyExpected` says whether other images of the page show what the model expected.
 */
export function aboutImage(item, about) {
  const { image } = item;
  const words = item.words && `${item.words[0].toUpperCase()}${item.words.slice(1)}.`;
  return [
    element("p", { class: "viewer__words" }, words),
    roleOf(item),
    figuresOf(item),
    titled("Why", reasonsOf(item)),
    titled("Regions", regionsOf(image)),
    titled("File", fileOf(item), overlayOf(image)),
    about.inspect !== "" && titled("Explain it", commandLine(inspectCommand(about.inspect, item))),
    about.anyExpected && !image.reconstruction && withoutExpected(),
  ];
}

function titled(name, ...parts) {
  const inside = parts.filter(Boolean);
  return inside.length ? element("section", {}, element("h3", {}, name), ...inside) : null;
}

function fileOf(item) {
  const { width, height, source } = item.image;
  return element(
    "p",
    {},
    element("span", { class: "viewer__path", dir: "auto" }, source || item.id),
    element("span", { class: "soft" }, ` ${width} × ${height} px`),
  );
}

function overlayOf(image) {
  if (!image.heatmap_file) return null;
  return element("p", {}, element("a", { href: relativeLink(image.heatmap_file) }, "Open the heatmap file"));
}

function withoutExpected() {
  const text = "What the model expected is left out of this page for this image, to keep it small.";
  return element("p", { class: "soft small" }, text);
}
