// What is known of an item, in words, and the command that explains it.

import { element, icon } from "./dom.js";
import { percent, scoreText } from "./format.js";
import { isAudit } from "./ordering.js";
import { sizeText } from "./frame.js";

let commandsMade = 0;

/** Return a command that can be typed, with a button that copies it. */
export function commandLine(command) {
  commandsMade += 1;
  const id = `command-${commandsMade}`;
  return element(
    "div",
    { class: "command" },
    element("code", { id, dir: "auto" }, command),
    element(
      "button",
      { type: "button", class: "button", dataset: { copy: id }, "aria-label": "Copy the command" },
      icon("copy"),
      element("span", { class: "when-not" }, "Copy"),
      element("span", { class: "when-done" }, "Copied"),
    ),
  );
}

/** Return the command that explains an item: an image by its path, a row as FILE:ROW. */
export function inspectCommand(template, item) {
  const table = item.row?.source || item.row?.file;
  const row = table && `${table}:${item.row.row}`;
  return template.replace("{item}", () => shellQuoted(item.image?.source || row || item.id));
}

/** Return a text as one word of a shell. */
export function shellQuoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

/** Return score, p-value and probability as a list of terms. */
export function figuresOf(item) {
  const figures = [
    ["Score", scoreText(item.score)],
    ["p-value", pText(item.p_value)],
  ];
  if (item.learned != null) figures.push(["By verdicts", percent(item.learned)]);
  if (item.probability != null) figures.push(["Probability", percent(item.probability)]);
  const term = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
  return element("dl", { class: "item-figures" }, ...figures.map(term));
}

/** Return a p-value: "0.0012", "3.1 × 10⁻⁷". */
export function pText(p) {
  if (!Number.isFinite(p)) return "not known";
  if (p >= 0.0001 || p === 0) return p.toPrecision(2);
  const [digits, exponent] = p.toExponential(1).split("e-");
  return `${digits} × 10⁻${[...exponent].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
}

/** Return why an item is strange, the most important first. */
export function reasonsOf(item) {
  const line = (reason) => element("li", { dir: "auto" }, reason);
  return item.reasons.length ? element("ol", { class: "reasons" }, ...item.reasons.map(line)) : null;
}

/** Return how an item came here, where it was not flagged. */
export function roleOf(item) {
  if (isAudit(item)) return element("span", { class: "tag" }, "Drawn at random");
  return item.is_anomaly || !item.roles.length ? null : element("span", { class: "tag" }, "Nearest miss");
}

/** Return the regions of an image, the hottest first, as a table. */
export function regionsOf(image) {
  if (!image.regions.length) return null;
  const head = ["Size", "Left, top", "Peak", "At x, y"].map((text) => element("th", { scope: "col" }, text));
  const line = (one) =>
    [sizeText(one), `${one.left}, ${one.top}`, `${one.peak.toFixed(1)} sd`, placeText(one)].map((text) =>
      element("td", {}, text),
    );
  return element(
    "table",
    { class: "regions" },
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...image.regions.map((one) => element("tr", {}, ...line(one)))),
  );
}

/** Return where a region is hottest; results of an earlier version do not tell. */
function placeText(region) {
  return region.peak_x === null ? "–" : `${Math.round(region.peak_x)}, ${Math.round(region.peak_y)}`;
}

/** Return the last part of a path, and what stands before it. */
export function nameAndPlace(path) {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return [path.slice(at + 1) || path, at > 0 ? path.slice(0, at) : ""];
}

/** Return the address of a file below the folder that the page lies in. */
export function relativeLink(path) {
  return `./${path.split("/").map(encodeURIComponent).join("/")}`;
}
