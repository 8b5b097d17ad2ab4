// Flagged rows of a table as a list; each opens to say why.

import { answerButtons } from "./answers.js";
import { cellsOf, contributionsOf, signed } from "./contributions.js";
import { commandLine, figuresOf, inspectCommand, reasonsOf, roleOf } from "./details.js";
import { element, icon } from "./dom.js";
import { scoreText } from "./format.js";
import { pastOf } from "./past.js";

/**
 * Return a maker of list items for rows; without a store, there is nothing to answer. `about` says
 * what the page knows for all rows: `inspect`, the command that explains one.
 */
export function rowListOf(store, about) {
  let made = 0;
  return (item) => {
    made += 1;
    return rowOf(item, store, about, `row-${made}`);
  };
}

function rowOf(item, store, about, id) {
  const detail = element("div", { class: "row__detail", id, hidden: true });
  const toggle = rowToggle(item, id);
  toggle.addEventListener("click", () => {
    if (!detail.childElementCount) detail.append(...aboutRow(item, about));
    detail.hidden = !detail.hidden;
    toggle.setAttribute("aria-expanded", String(!detail.hidden));
  });
  return element(
    "li",
    { class: "row", dataset: { verdict: store?.verdictOf(item.id) ?? "" } },
    element("div", { class: "row__head" }, toggle, store && answerButtons(item.id, store)),
    detail,
  );
}

function rowToggle(item, id) {
  return element(
    "button",
    { type: "button", class: "row__toggle", "aria-expanded": "false", "aria-controls": id },
    icon("next"),
    element("span", { class: "row__name", dir: "auto" }, item.id),
    element("span", { class: "row__score", title: item.words }, scoreText(item.score)),
    element("span", { class: "row__reason", dir: "auto" }, item.reasons[0] ?? item.words),
    element("span", { class: "row__column" }),
  );
}

function aboutRow(item, about) {
  const { row } = item;
  const words = element("p", { class: "row__words" }, item.words && `${item.words[0].toUpperCase()}${item.words.slice(1)}. `, roleOf(item));
  const where = row.file && element("p", { class: "soft small" }, element("bdi", {}, row.file), `, row ${row.row}`);
  const pasts = element("div", { class: "pasts" }, ...row.past.map(pastOf));
  const parts = [
    element("div", { class: "row__about" }, element("div", {}, words, where || null), figuresOf(item)),
    item.reasons.length > 1 && reasonsOf(item),
    row.contributions.length > 0 && contributionsOf(row),
    row.past.length > 0 && pasts,
    row.cells.length > 0 && cellsOf(row),
    row.left_out.length > 0 && withoutSome(row.left_out),
    about.inspect !== "" && commandLine(inspectCommand(about.inspect, item)),
  ];
  return parts.filter(Boolean);
}

function withoutSome(leftOut) {
  const what = leftOut.length > 1 ? "Its cells and its past are" : leftOut[0] === "cells" ? "Its cells are" : "Its past is";
  const text = `${what} left out of this page to keep it small: the command below shows all.`;
  return element("p", { class: "soft small" }, text);
}

/** Say beside a row what the column adds that rows are sorted by; nothing for other orders. */
export function showColumn(shown, item, column) {
  const one = item.row.contributions.find((other) => other.column === column);
  shown.querySelector(".row__column").textContent = one ? `${signed(one.nats)} nats` : "";
}
