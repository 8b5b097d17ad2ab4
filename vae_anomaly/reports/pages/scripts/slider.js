// The threshold slider. Each count was made by Python, one for each step: here it is looked up.

import { byId, element, refill } from "./dom.js";
import { amount, interval, percent, scoreText, shareInterval, thousands } from "./format.js";

const JUMP = 10; // steps of Page Up and Page Down

/** Return the step whose value lies nearest; steps rise. */
export function nearestStep(steps, value) {
  let best = 0;
  for (let k = 1; k < steps.length; k += 1) {
    if (Math.abs(steps[k].value - value) < Math.abs(steps[best].value - value)) best = k;
  }
  return best;
}

/** Return where a key leads from a step; null for other keys. */
export function keyedStep(key, index, count) {
  const last = count - 1;
  const ways = {
    ArrowLeft: index - 1,
    ArrowDown: index - 1,
    ArrowRight: index + 1,
    ArrowUp: index + 1,
    PageDown: index - JUMP,
    PageUp: index + JUMP,
    Home: 0,
    End: last,
  };
  return key in ways ? Math.min(last, Math.max(0, ways[key])) : null;
}

/** Make the slider work, where the page has one. */
export function startSlider(night) {
  const slider = document.getElementById("slider");
  if (!slider) return;
  const scores = slider.closest(".scores");
  const place = scores.dataset;
  const inForce = Number(place.inForce);
  let index = inForce;

  const show = (next) => {
    index = next;
    const step = night.steps[index];
    slider.value = step.value;
    slider.setAttribute("aria-valuetext", inWords(step));
    moveLine(step.value, Number(place.low), Number(place.high));
    scores.classList.toggle("is-moved", index !== inForce);
    showStep(step);
    showCommand(night, step, index === inForce);
    document.dispatchEvent(new CustomEvent("threshold", { detail: step }));
  };

  slider.addEventListener("input", () => show(nearestStep(night.steps, Number(slider.value))));
  slider.addEventListener("keydown", (event) => {
    const next = keyedStep(event.key, index, night.steps.length);
    if (next === null || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    show(next);
  });
  byId("reset").addEventListener("click", () => {
    slider.focus();
    show(inForce);
  });
  followPointer(slider, (value) => show(nearestStep(night.steps, value)));
  show(inForce);
}

/** Let the histogram be pressed and dragged as well as the slider below it. */
function followPointer(slider, moved) {
  const chart = byId("histogram");
  const low = Number(slider.min);
  const high = Number(slider.max);
  const follow = (event) => {
    const box = chart.getBoundingClientRect();
    moved(low + ((event.clientX - box.left) / box.width) * (high - low));
  };
  chart.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return; // there a finger scrolls the page
    chart.setPointerCapture(event.pointerId);
    slider.focus({ preventScroll: true });
    event.preventDefault();
    follow(event);
  });
  chart.addEventListener("pointermove", (event) => {
    if (chart.hasPointerCapture(event.pointerId)) follow(event);
  });
}

function moveLine(value, low, high) {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  const at = `${(100 * share).toFixed(3)}%`;
  byId("above-edge").setAttribute("x", at);
  byId("threshold-line").setAttribute("x1", at);
  byId("threshold-line").setAttribute("x2", at);
}

function showStep(step) {
  byId("trial-value").textContent = scoreText(step.value);
  byId("trial-flagged").textContent = thousands(step.flagged);
  showFigure("trial-alarms", step.false_alarms, amount, interval);
  showFigure("trial-precision", step.precision, percent, shareInterval);
  showFigure("trial-recall", step.recall, percent, shareInterval);
  showFigure("trial-cost", step.cost, amount, interval);
}

function showFigure(id, figure, alone, whole) {
  const cell = document.getElementById(id);
  if (!cell) return;
  const ends = whole(figure).match(/\((.*)\)/)?.[1];
  const estimate = alone(figure?.estimate ?? NaN);
  refill(cell, estimate, ends && element("span", { class: "ends" }, ends));
}

function showCommand(night, step, isInForce) {
  byId("reset").disabled = isInForce;
  const part = document.getElementById("trial-command");
  if (!part) return;
  part.hidden = isInForce;
  byId("threshold-command").textContent = night.threshold_command.replace("{value}", () =>
    String(step.value),
  );
}

function inWords(step) {
  const alarms = interval(step.false_alarms);
  return `Flag above ${scoreText(step.value)}: ${thousands(step.flagged)} flagged, ${alarms} false alarms to expect`;
}
