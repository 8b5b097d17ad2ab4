// The last values of an entity before a row, and that of the row, as a small line.

import { element, svgElement } from "./dom.js";

const PAST_WIDTH = 240;
const PAST_HEIGHT = 56;
const PAST_EDGE = 6;

/** Return the past of an entity in one column, drawn and in words. */
export function pastOf(past) {
  const points = pastPoints([...past.values, past.value]);
  const words = pastWords(past);
  return element(
    "figure",
    { class: "past" },
    element("figcaption", { dir: "auto" }, `${past.entity}: ${past.column}`),
    svgElement(
      "svg",
      { class: "past__line", viewBox: `0 0 ${PAST_WIDTH} ${PAST_HEIGHT}`, role: "img", "aria-label": words },
      svgElement("polyline", { points: points.map(([x, y]) => `${x},${y}`).join(" ") }),
      ...points.map(([cx, cy, isNow]) =>
        svgElement("circle", { class: isNow ? "past__now" : "", cx, cy, r: isNow ? 4 : 1.5 }),
      ),
    ),
    element("p", { class: "soft small" }, words),
  );
}

function pastPoints(values) {
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite);
  const spread = Math.max(...finite) - low;
  const across = (PAST_WIDTH - 2 * PAST_EDGE) / Math.max(values.length - 1, 1);
  const height = (value) => (spread > 0 ? (value - low) / spread : 0.5);
  const point = (value, at) => [
    PAST_EDGE + at * across,
    PAST_HEIGHT - PAST_EDGE - height(value) * (PAST_HEIGHT - 2 * PAST_EDGE),
    at === values.length - 1,
  ];
  return values.map(point).filter((_, at) => Number.isFinite(values[at]));
}

function pastWords(past) {
  const before = past.values.filter(Number.isFinite);
  if (!before.length) return `Now ${shortNumber(past.value)}; nothing before.`;
  const low = shortNumber(Math.min(...before));
  const high = shortNumber(Math.max(...before));
  const range = low === high ? `always ${low}` : `${low} to ${high}`;
  return `The last ${before.length}: ${range}. Now ${shortNumber(past.value)}.`;
}

function shortNumber(value) {
  if (!Number.isFinite(value)) return "missing";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(value);
}
