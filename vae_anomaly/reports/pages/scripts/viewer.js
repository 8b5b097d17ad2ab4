// One image as large as the window allows, with all that is known of it beside it.

import { answerButtons, showAnswer } from "./answers.js";
import { element, icon, refill } from "./dom.js";
import { emptyFrame, fillFrame } from "./frame.js";
import { aboutImage } from "./image_facts.js";
import { nameAndPlace } from "./details.js";
import { verdictOfKey } from "./verdicts.js";
import { Zoom } from "./zoom.js";

const PAN = 80; // pixels of a press of shift and an arrow

/** The dialog; it walks through the items of the gallery in their order. */
export class Viewer {
  /**
   * `store` keeps verdicts, null where none are given; `switches` are what turns layers on and off; `about` says what the
   * page knows for all images; `onLeave` is called with the item that was shown last.
   */
  constructor({ store, switches, about, onLeave }) {
    Object.assign(this, { store, about, onLeave, items: [], at: 0 });
    this.build(switches);
    this.zoom = new Zoom(this.stage, (scale) => this.showScale(scale));
    this.dialog.addEventListener("keydown", (event) => this.onKey(event));
    this.dialog.addEventListener("close", () => this.leave());
    store?.onChange((ids) => this.onAnswer(ids));
  }

  get item() {
    return this.items[this.at];
  }

  build(switches) {
    this.stage = element("div", { class: "viewer__stage" });
    this.place = element("p", { class: "viewer__place" });
    this.title = element("h2", { class: "viewer__title", id: "viewer-title", dir: "auto", tabindex: "-1" });
    this.side = element("div", { class: "viewer__side" });
    this.answer = element("div", { class: "viewer__answer", hidden: !this.store });
    this.said = element("p", { class: "off-screen", role: "status" });
    this.dialog = element(
      "dialog",
      { class: "viewer", "aria-labelledby": "viewer-title" },
      this.head(),
      element("div", { class: "viewer__main" }, this.stage, this.tools(switches)),
      element("div", { class: "viewer__panel" }, this.answer, this.side),
      this.said,
    );
    document.body.append(this.dialog);
  }

  head() {
    this.back = tool("previous", "Previous (left arrow or k)", () => this.step(-1));
    this.onward = tool("next", "Next (right arrow or j)", () => this.step(1));
    const close = tool("cross", "Close (Esc)", () => this.dialog.close());
    return element("header", { class: "viewer__head" }, this.back, this.place, this.onward, this.title, close);
  }

  tools(switches) {
    this.scale = element("span", { class: "viewer__scale" });
    return element(
      "div",
      { class: "viewer__tools" },
      switches,
      element(
        "div",
        { class: "viewer__zoom", role: "group", "aria-label": "Zoom" },
        tool("minus", "Smaller (-)", () => this.zoom.smaller()),
        this.scale,
        tool("plus", "Larger (+)", () => this.zoom.larger()),
        tool("fit", "Fit the window (f)", () => this.zoom.fit()),
      ),
    );
  }

  /** Open at an item of those that are shown. */
  open(item, items) {
    this.items = items;
    this.dialog.showModal();
    document.documentElement.classList.add("has-viewer");
    this.show(items.indexOf(item));
    this.title.focus({ preventScroll: true });
  }

  leave() {
    document.documentElement.classList.remove("has-viewer");
    this.onLeave(this.item);
  }

  step(by) {
    const to = this.at + by;
    if (to >= 0 && to < this.items.length) this.show(to);
    else this.say(by > 0 ? "That was the last one." : "This is the first one.");
  }

  show(at) {
    this.at = at;
    const { item } = this;
    this.showImage(item.image);
    this.place.textContent = `${at + 1} of ${this.items.length}`;
    this.title.textContent = nameAndPlace(item.id)[0];
    this.title.title = item.id;
    this.back.setAttribute("aria-disabled", String(at === 0));
    this.onward.setAttribute("aria-disabled", String(at === this.items.length - 1));
    if (this.store) refill(this.answer, answerButtons(item.id, this.store, (verdict) => this.judge(verdict)));
    refill(this.side, ...aboutImage(item, this.about));
    this.side.scrollTop = 0;
    this.say(`${at + 1} of ${this.items.length}: ${item.id}, ${item.words}`);
  }

  showImage(image) {
    const frame = emptyFrame(image);
    refill(this.stage, frame);
    fillFrame(frame, image);
    this.zoom.show(frame, image.width / image.height);
  }

  /** Take an answer, and go on to the next. */
  judge(verdict) {
    const hadFocus = this.answer.contains(document.activeElement) && document.activeElement.dataset.verdict;
    this.store.give(this.item.id, verdict);
    if (verdict !== "") this.step(1);
    if (hadFocus) this.answer.querySelector(`[data-verdict="${hadFocus}"]`)?.focus();
  }

  onAnswer(ids) {
    if (this.dialog.open && ids.includes(this.item.id))
      showAnswer(this.answer.firstChild, this.store.verdictOf(this.item.id));
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const verdict = this.store ? verdictOfKey(event.key) : undefined;
    const action = verdict === undefined ? this.actionOf(event) : () => this.judge(verdict);
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** Return what a key asks for; undefined where it asks for nothing. */
  actionOf({ key, shiftKey }) {
    const { zoom } = this;
    if (shiftKey && key.startsWith("Arrow")) return panOf(key, zoom);
    return {
      ArrowRight: () => this.step(1),
      j: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      k: () => this.step(-1),
      "+": () => zoom.larger(),
      "=": () => zoom.larger(),
      "-": () => zoom.smaller(),
      f: () => zoom.fit(),
    }[key];
  }

  showScale(scale) {
    this.scale.textContent = `${Math.round(100 * scale)}%`;
  }

  say(text) {
    this.said.textContent = text;
  }
}

function panOf(key, zoom) {
  const [x, y] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
  return () => zoom.move(x * PAN, y * PAN);
}

function tool(name, label, onclick) {
  const properties = { type: "button", class: "button button--bare button--icon", "aria-label": label, title: label };
  return element("button", { ...properties, onclick }, icon(name));
}
