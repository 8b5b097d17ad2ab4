// How far the reviewer has come, and the files to take along.

import { decisionsCsv, flaggedCsv } from "./decisions.js";
import { commandLine } from "./details.js";
import { element, icon } from "./dom.js";
import { saveText } from "./csv.js";
import { numberOf, thousands } from "./format.js";
import { isAudit } from "./ordering.js";

/** The line above the items: progress, downloads, reset, and the command that reads the file. */
export class Progress {
  constructor(facts, store) {
    Object.assign(this, { facts, store });
    this.text = element("p", { class: "progress__text", id: "progress-text", role: "status" });
    this.line = element("progress", { class: "progress__line", "aria-labelledby": "progress-text" });
    this.warning = element("p", { class: "progress__warning", role: "status", hidden: true });
    this.buttons();
    this.next = element("div", { class: "progress__next", hidden: true }, ...this.importing());
    this.tools = element(
      "div",
      { class: "progress" },
      element("div", { class: "progress__told" }, this.text, this.line),
      element("div", { class: "progress__buttons" }, this.download, this.list, this.reset),
      this.warning,
      this.next,
      this.question(),
    );
    store.onChange((_, isKept) => this.show(isKept));
    this.show(true);
  }

  buttons() {
    const button = (kind, onclick, ...inside) =>
      element("button", { type: "button", class: `button ${kind}`, onclick }, ...inside);
    this.download = button("button--main", () => this.saveDecisions(), icon("download"), "decisions.csv");
    this.list = button("", () => this.saveFlagged(), icon("download"), "Flagged list");
    this.reset = button("button--bare", () => this.ask.showModal(), "Clear verdicts");
    this.list.disabled = !this.facts.items.some((item) => item.is_anomaly);
  }

  importing() {
    if (!this.facts.import_command) return [];
    const lead = "Then store them with the model: probabilities, thresholds and precision are learned from them.";
    return [element("p", { class: "soft" }, lead), commandLine(this.facts.import_command)];
  }

  question() {
    const close = () => this.ask.close();
    const forget = () => {
      this.store.clear();
      close();
    };
    this.asked = element("p", { id: "reset-text" });
    this.ask = element(
      "dialog",
      { class: "question", "aria-labelledby": "reset-text" },
      this.asked,
      element(
        "div",
        { class: "question__buttons" },
        element("button", { type: "button", class: "button", onclick: close }, "Keep them"),
        element("button", { type: "button", class: "button button--main", onclick: forget }, "Forget them"),
      ),
    );
    return this.ask;
  }

  /** Say how many of the items have an answer. */
  show(isKept) {
    const { items } = this.facts;
    const judged = items.filter((item) => this.store.verdictOf(item.id) !== "");
    const audit = items.filter(isAudit).length;
    const told = `${thousands(judged.length)} of ${thousands(items.length)} judged`;
    const drawn = audit ? `, ${judged.filter(isAudit).length} of ${audit} drawn at random` : "";
    this.text.textContent = told + drawn;
    this.line.max = Math.max(items.length, 1);
    this.line.value = judged.length;
    this.download.disabled = this.reset.disabled = judged.length === 0;
    this.next.hidden = judged.length === 0 || !this.facts.import_command;
    this.asked.textContent = `Forget ${numberOf(judged.length, "verdict")}? What is not in a decisions.csv yet is lost.`;
    if (!isKept) this.warn();
  }

  warn() {
    if (!this.warning.hidden) return;
    this.warning.hidden = false;
    this.warning.textContent =
      "This browser keeps nothing for this page, as private windows do: download decisions.csv before you close it.";
  }

  saveDecisions() {
    saveText("decisions.csv", decisionsCsv(this.facts.items, this.store));
  }

  saveFlagged() {
    saveText("flagged.csv", flaggedCsv(this.facts.items, this.store));
  }
}
