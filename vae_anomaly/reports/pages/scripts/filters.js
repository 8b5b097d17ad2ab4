// What the reviewer asks to see: order, groups, folders, sizes, verdicts, a text.

import { element, icon } from "./dom.js";
import { thousands } from "./format.js";
import { columnsOf, foldersOf, GROUPS, groupOf, isLearned } from "./ordering.js";

export const GROUP_NAMES = { flagged: "Flagged", near_miss: "Nearest misses", audit: "Drawn at random" };
const MOST_COLUMNS = 200; // that rows can be sorted by
const NO_WISH = { group: "", folder: null, side: 0, verdict: "", text: "" };

/** The tools above the items; `onWish` is called when another choice is made. */
export class Filters {
  constructor(items, onWish) {
    this.items = items;
    this.onWish = onWish;
    this.hasImages = items.some((item) => item.image);
    this.wish = { ...NO_WISH };
    this.isLearned = isLearned(items);
    this.order = this.isLearned ? "learned" : "score";
    this.choices = element("div", { class: "tools tools--choices" }, this.orders(), ...this.further());
    this.tools = element("div", { class: "tools" }, this.groupButtons(), this.search(), this.opener());
  }

  /** Return the button that shows the choices where there is little room. */
  opener() {
    const button = element("button", { type: "button", class: "button tools__opener", "aria-expanded": "false" }, "Filter");
    button.addEventListener("click", () => {
      const isOpen = this.choices.classList.toggle("is-open");
      button.setAttribute("aria-expanded", String(isOpen));
    });
    return button;
  }

  groupButtons() {
    const counts = GROUPS.map((group) => [group, this.items.filter((item) => groupOf(item) === group).length]);
    const shown = counts.filter(([, count]) => count > 0);
    const all = ["", this.items.length];
    this.groups = (shown.length > 1 ? [all, ...shown] : []).map(([group, count]) => this.groupButton(group, count));
    return element("div", { class: "segments", role: "group", "aria-label": "Shown" }, ...this.groups);
  }

  groupButton(group, count) {
    return element(
      "button",
      {
        type: "button",
        class: "segment",
        dataset: { group },
        "aria-pressed": String(group === this.wish.group),
        onclick: () => this.choose({ group }),
      },
      GROUP_NAMES[group] ?? "All",
      element("span", { class: "segment__count" }, thousands(count)),
    );
  }

  search() {
    this.field = element("input", {
      type: "search",
      class: "field",
      placeholder: "Search",
      "aria-label": "Search ids and reasons",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.choose({ text: this.field.value.trim() }),
    });
    return element("label", { class: "tool-search" }, icon("zoom"), this.field);
  }

  orders() {
    const learned = this.isLearned ? [["learned", "Likeliest by verdicts first"]] : [];
    const own = this.hasImages ? [["side", "Largest region first"]] : [];
    const columns = this.hasImages ? [] : columnsOf(this.items).slice(0, MOST_COLUMNS);
    const added = columns.map((column) => [`column:${column}`, column]);
    this.orderField = element(
      "select",
      { class: "field", "aria-label": "Order", onchange: () => this.choose({}, this.orderField.value) },
      ...[...learned, ["score", "Strangest first"], ...own, ["id", "By name"]].map(choiceOf),
      added.length ? element("optgroup", { label: "By what a column adds" }, ...added.map(choiceOf)) : null,
    );
    return this.orderField;
  }

  further() {
    const folders = foldersOf(this.items);
    return [
      folders.length > 1 && this.folders(folders),
      this.hasImages && this.sides(),
      this.verdicts(),
    ].filter(Boolean);
  }

  folders(folders) {
    const all = ["", `All ${folders.length} folders`];
    const named = folders.map(([folder, count], at) => [String(at), `${folder || "(top)"} (${count})`]);
    this.folderField = element(
      "select",
      {
        class: "field",
        "aria-label": "Folder",
        onchange: () => this.choose({ folder: folders[this.folderField.value]?.[0] ?? null }),
      },
      ...[all, ...named].map(choiceOf),
    );
    return this.folderField;
  }

  sides() {
    this.sideField = element("input", {
      type: "number",
      class: "field field--number",
      min: "0",
      step: "1",
      inputmode: "numeric",
      placeholder: "0",
      oninput: () => this.choose({ side: Math.max(Number(this.sideField.value) || 0, 0) }),
    });
    return element("label", { class: "tool-label" }, "Region from", this.sideField, "px");
  }

  verdicts() {
    const choices = [
      ["", "Any verdict"],
      ["none", "Not judged yet"],
      ["confirmed", "Confirmed"],
      ["false alarm", "False alarm"],
      ["unsure", "Unsure"],
    ];
    this.verdictField = element(
      "select",
      { class: "field", "aria-label": "Verdict", onchange: () => this.choose({ verdict: this.verdictField.value }) },
      ...choices.map(choiceOf),
    );
    return this.verdictField;
  }

  choose(change, order = this.order) {
    Object.assign(this.wish, change);
    this.order = order;
    for (const button of this.groups)
      button.setAttribute("aria-pressed", String(button.dataset.group === this.wish.group));
    this.onWish();
  }

  /** Ask for everything again. */
  clear() {
    this.field.value = "";
    this.verdictField.value = "";
    if (this.folderField) this.folderField.value = "";
    if (this.sideField) this.sideField.value = "";
    this.choose(NO_WISH);
  }

  /** Return the column that rows are sorted by; null where they are sorted otherwise. */
  get column() {
    return this.order.startsWith("column:") ? this.order.slice("column:".length) : null;
  }
}

function choiceOf([value, text]) {
  return element("option", { value }, text);
}
