// Why a row has its score: what each column adds, as bars to both sides of nothing.

import { element } from "./dom.js";

const CONTRIBUTION_HEADS = ["Column", "− against · for +", "Nats", "Value", "Expected", "Usual"];
const LEAST_NATS = 0.005; // what is less is written as 0.00

/** Return what the columns of a row add to its score. */
export function contributionsOf(row) {
  const lines = [...row.contributions];
  if (Math.abs(row.rest) >= LEAST_NATS) lines.push({ column: "All other columns", nats: row.rest, isRest: true });
  const most = Math.max(...lines.map((line) => Math.abs(line.nats ?? 0)), LEAST_NATS);
  const heads = CONTRIBUTION_HEADS.map((name) => element("span", {}, name));
  return element(
    "div",
    { class: "contributions" },
    element("div", { class: "contribution contribution--head", "aria-hidden": "true" }, ...heads),
    element("ul", { role: "list" }, ...lines.map((line) => contributionLine(line, most))),
    element("p", { class: "soft small" }, `Together ${signed(row.explained)} nats, the raw score.`),
  );
}

function contributionLine(line, most) {
  return element(
    "li",
    { class: line.isRest ? "contribution contribution--rest" : "contribution" },
    element("span", { class: "contribution__column", dir: "auto" }, line.column),
    signedBar(line.nats ?? 0, most),
    element("span", { class: "contribution__nats" }, signed(line.nats), element("span", { class: "off-screen" }, " nats")),
    told("value", "Value", line.value),
    told("expected", "Expected", line.expected),
    told("typical", "Usual", line.typical),
  );
}

function told(name, label, text) {
  const inside = text ? [element("span", { class: "contribution__label" }, `${label} `), element("bdi", {}, text)] : [];
  return element("span", { class: `contribution__${name}` }, ...inside);
}

function signedBar(nats, most) {
  const fill = element("span", { class: nats < 0 ? "bar-line__fill is-against" : "bar-line__fill" });
  const share = (50 * Math.abs(nats)) / most;
  fill.style.width = `${share}%`;
  fill.style.left = nats < 0 ? `${50 - share}%` : "50%";
  return element("span", { class: "bar-line", "aria-hidden": "true" }, fill);
}

/** Return a number with its sign, and a true minus. */
export function signed(value) {
  if (!Number.isFinite(value)) return "not finite";
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

/** Return the cells of a row as they were read; they are drawn when they are asked for. */
export function cellsOf(row) {
  const list = element("dl", { class: "cells" });
  const shown = element("details", {}, element("summary", {}, `The row as it was read (${row.cells.length} cells)`), list);
  const pair = ([name, cell]) =>
    element("div", {}, element("dt", { dir: "auto" }, name), element("dd", { dir: "auto" }, cell));
  shown.addEventListener("toggle", () => {
    if (shown.open && !list.childElementCount) list.append(...row.cells.map(pair));
  });
  return shown;
}
