// What a reviewer answered, kept in the browser's storage where it allows that.

import { keep, kept } from "./store.js";

export const VERDICTS = ["confirmed", "false alarm", "unsure"];

/** Return the verdict of a key: 1, 2, 3, or "" for 0, which clears; undefined of any other. */
export function verdictOfKey(key) {
  return { 1: "confirmed", 2: "false alarm", 3: "unsure", 0: "" }[key];
}

/** Verdicts by item, and when each was given. */
export class VerdictStore {
  constructor(key) {
    this.key = key;
    this.listeners = [];
    this.answers = readAnswers(key);
  }

  verdictOf(id) {
    return this.answers.get(id)?.verdict ?? "";
  }

  whenOf(id) {
    return this.answers.get(id)?.when ?? "";
  }

  /** Answer an item; "" takes the answer back. */
  give(id, verdict, when = new Date()) {
    if (verdict === "") this.answers.delete(id);
    else this.answers.set(id, { verdict, when: when.toISOString() });
    this.tell([id], this.write());
  }

  /** Forget all answers. */
  clear() {
    const ids = [...this.answers.keys()];
    this.answers.clear();
    this.tell(ids, this.write());
  }

  write() {
    return keep(this.key, [...this.answers].map(([id, one]) => [id, one.verdict, one.when]));
  }

  /** Call a listener with the ids that were answered, and whether they outlive the page. */
  onChange(listener) {
    this.listeners.push(listener);
  }

  tell(ids, isKept) {
    for (const listener of this.listeners) listener(ids, isKept);
  }

  /** Take over what another tab with the same night writes. */
  followOtherTabs() {
    window.addEventListener("storage", (event) => {
      if (event.key !== this.key) return;
      const before = [...this.answers.keys()];
      this.answers = readAnswers(this.key);
      this.tell([...new Set([...before, ...this.answers.keys()])], true);
    });
  }
}

function readAnswers(key) {
  const lines = kept(key, []);
  if (!Array.isArray(lines)) return new Map();
  const whole = lines.filter((line) => Array.isArray(line) && VERDICTS.includes(line[1]));
  return new Map(whole.map(([id, verdict, when]) => [id, { verdict, when }]));
}
