// Buttons that copy what stands in another element: <button data-copy="ID">.

import { announce } from "./dom.js";

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedFromField(text); // opened from disk, a browser may not give the clipboard
  }
}

function copiedFromField(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "off-screen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

async function copyShown(button) {
  const done = await copyText(document.getElementById(button.dataset.copy).textContent.trim());
  button.focus();
  button.dataset.done = done ? "yes" : "no";
  announce(done ? "Copied" : "The browser does not let this page copy: select the text");
  setTimeout(() => delete button.dataset.done, 1600);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copyShown(button);
});
