// Images as cards; a card is drawn when it comes near the window.

import { answerButtons } from "./answers.js";
import { nameAndPlace, roleOf } from "./details.js";
import { element } from "./dom.js";
import { emptyFrame, fillFrame, sizeText } from "./frame.js";
import { scoreText } from "./format.js";
import { groupOf, isAudit, largestRegion } from "./ordering.js";

const NEAR = "600px"; // from the window: a card is drawn before it is seen

/**
 * Return a maker of cards; `open` is called with the item of a card that is chosen. Without a
 * store, there is nothing to answer.
 */
export function galleryOf(store, open) {
  const waiting = new Map();
  const draw = (card) => {
    waiting.get(card)?.();
    waiting.delete(card);
    watch.unobserve(card);
  };
  const drawNear = (entries) => entries.forEach((entry) => entry.isIntersecting && draw(entry.target));
  const watch = new IntersectionObserver(drawNear, { rootMargin: NEAR });
  window.addEventListener("beforeprint", () => [...waiting.keys()].forEach(draw));
  return (item) => {
    const frame = emptyFrame(item.image);
    const card = cardOf(item, frame, store, open);
    waiting.set(card, () => fillFrame(frame, item.image));
    watch.observe(card);
    return card;
  };
}

function cardOf(item, frame, store, open) {
  return element(
    "li",
    { class: "card", dataset: { verdict: store?.verdictOf(item.id) ?? "" } },
    element(
      "button",
      {
        type: "button",
        class: "card__open",
        "aria-label": `Open ${item.id}: ${item.words}`,
        onclick: () => open(item),
      },
      frame,
    ),
    cardText(item),
    store && answerButtons(item.id, store),
  );
}

function cardText(item) {
  const [name, place] = nameAndPlace(item.id);
  const region = largestRegion(item.image);
  return element(
    "div",
    { class: "card__text" },
    element("p", { class: "card__name", dir: "auto", title: item.id }, name),
    element(
      "p",
      { class: "card__score", title: item.words },
      element("span", { class: "soft" }, "score "),
      scoreText(item.score),
    ),
    element("p", { class: "card__place", dir: "auto", title: place }, place),
    element("p", { class: "card__size" }, region ? sizeText(region) : "no region"),
    isAudit(item) && groupOf(item) !== "audit" && element("p", { class: "card__role" }, roleOf(item)),
  );
}
