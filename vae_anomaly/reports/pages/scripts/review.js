// The items of a night: looked at, sorted, judged.

import { showAnswer } from "./answers.js";
import { announce, byId, element } from "./dom.js";
import { readFacts } from "./facts.js";
import { Filters, GROUP_NAMES } from "./filters.js";
import { numberOf, scoreText, thousands } from "./format.js";
import { galleryOf } from "./gallery.js";
import { heatLegend, Layers } from "./layers.js";
import { GROUPS, groupOf, inOrder, isAskedFor } from "./ordering.js";
import { Progress } from "./progress.js";
import { rowListOf, showColumn } from "./rows.js";
import { verdictOfKey, VerdictStore } from "./verdicts.js";
import { Viewer } from "./viewer.js";

const GROUP_LEADS = {
  flagged: "",
  near_miss: "The highest scores that were not flagged. Anomalies among them mean that the threshold is too high.",
  audit:
    "Drawn from everything that was not flagged. Judge these as well: only they tell how many anomalies the threshold misses.",
};

/** The part of the page that reviewers work with. */
class Review {
  constructor(facts) {
    this.items = facts.items;
    this.store = new VerdictStore(`vae-anomaly:${facts.name}:${facts.scoring.digest.slice(0, 12)}`);
    this.hasImages = this.items.some((item) => item.image);
    this.filters = new Filters(this.items, () => this.apply());
    this.count = element("p", { class: "soft", role: "status" });
    this.tried = element("p", { class: "review__tried", hidden: true });
    this.lists = new Map();
    this.progress = new Progress(facts, this.store);
    const tools = this.hasImages ? this.withImages(facts) : this.withRows(facts);
    byId("review").append(
      this.progress.tools,
      element("div", { class: "review__bar" }, this.filters.tools, this.filters.choices, ...tools),
      element("div", { class: "review__count" }, this.count, this.hasImages && heatLegend(), this.tried),
      ...GROUPS.map((group) => this.groupOf(group)),
      this.nothing(),
    );
    this.fill();
    this.listen();
    this.apply();
  }

  withImages(facts) {
    const anyExpected = this.items.some((item) => item.image?.reconstruction);
    const layers = new Layers(anyExpected);
    const viewer = new Viewer({
      store: this.store,
      switches: layers.switches(),
      about: { inspect: facts.inspect_command, anyExpected },
      onLeave: (item) => this.focus(item),
    });
    this.made = galleryOf(this.store, (item) => viewer.open(item, this.shownItems()));
    return [layers.switches()];
  }

  withRows(facts) {
    this.made = rowListOf(this.store, { inspect: facts.inspect_command });
    return [];
  }

  groupOf(group) {
    const list = element("ol", { class: this.hasImages ? "gallery" : "rows", role: "list" });
    const title = element("h3", { id: `group-${group}` }, GROUP_NAMES[group]);
    const lead = GROUP_LEADS[group] && element("p", { class: "soft" }, GROUP_LEADS[group]);
    list.setAttribute("aria-labelledby", title.id);
    const section = element("section", { class: "group" }, element("div", { class: "group__head" }, title, lead), list);
    this.lists.set(group, { list, section });
    return section;
  }

  nothing() {
    const clear = element("button", { type: "button", class: "button", onclick: () => this.filters.clear() }, "Show all");
    this.empty = element("div", { class: "empty" }, element("p", {}, "No item is like that."), clear);
    return this.empty;
  }

  /** Make what shows each item, once; filters hide it, and orders move it. */
  fill() {
    this.shown = new Map(this.items.map((item) => [item, this.made(item)]));
    this.itemOf = new Map([...this.shown].map(([item, shown]) => [shown, item]));
  }

  apply() {
    const { wish, order, column } = this.filters;
    const asked = this.items.filter((item) => isAskedFor(item, wish, this.store.verdictOf(item.id)));
    for (const group of GROUPS) {
      const { list, section } = this.lists.get(group);
      const inGroup = inOrder(asked.filter((item) => groupOf(item) === group), order);
      list.replaceChildren(...inGroup.map((item) => this.shown.get(item)));
      section.hidden = inGroup.length === 0;
    }
    if (!this.hasImages) for (const item of asked) showColumn(this.shown.get(item), item, column);
    this.empty.hidden = asked.length > 0;
    this.count.textContent = this.counted(asked.length);
  }

  counted(n) {
    const all = this.items.length;
    return n === all ? "" : `${thousands(n)} of ${numberOf(all, "item")} shown`;
  }

  shownElements() {
    return GROUPS.flatMap((group) => [...this.lists.get(group).list.children]);
  }

  shownItems() {
    return this.shownElements().map((one) => this.itemOf.get(one));
  }

  listen() {
    this.store.onChange((ids) => ids.forEach((id) => this.mark(id)));
    this.store.followOtherTabs();
    document.addEventListener("threshold", (event) => this.tryOut(event.detail.value));
    byId("review").addEventListener("keydown", (event) => this.onKey(event));
  }

  mark(id) {
    for (const item of this.items.filter((one) => one.id === id)) {
      const shown = this.shown.get(item);
      shown.dataset.verdict = this.store.verdictOf(id);
      showAnswer(shown.querySelector(".verdicts"), this.store.verdictOf(id));
    }
  }

  /** Show which items another threshold would have left out; the slider names it. */
  tryOut(value) {
    const below = (item) => item.is_anomaly && item.score !== null && item.score <= value;
    for (const [item, shown] of this.shown) shown.classList.toggle("is-below", below(item));
    const lost = this.items.filter(below).length;
    const won = this.items.filter((item) => !item.is_anomaly && item.score > value).length;
    this.tried.hidden = lost + won === 0;
    this.tried.textContent = lost
      ? `Above ${scoreText(value)}, ${thousands(lost)} of the flagged below would not be flagged: their scores are struck out.`
      : `Above ${scoreText(value)}, ${thousands(won)} of those below that were not flagged would be.`;
  }

  /** On an item, 1 2 3 and 0 answer it; arrows, j and k go on to its neighbours. */
  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = event.target.closest(".card, .row");
    if (!shown || event.target.closest("input, select, textarea")) return;
    const verdict = verdictOfKey(event.key);
    const by = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (verdict === undefined && by === undefined) return;
    event.preventDefault();
    if (by) this.goOn(shown, by);
    else this.answer(this.itemOf.get(shown), verdict);
  }

  answer(item, verdict) {
    this.store.give(item.id, verdict);
    announce(verdict === "" ? "Verdict taken back" : `Judged ${verdict}`);
  }

  goOn(shown, by) {
    const all = this.shownElements();
    this.focus(this.itemOf.get(all[all.indexOf(shown) + by]));
  }

  focus(item) {
    const shown = this.shown.get(item);
    shown?.querySelector("button").focus();
    shown?.scrollIntoView({ block: "nearest" });
  }
}

const nightFacts = readFacts();
if (nightFacts.items.length) new Review(nightFacts);
