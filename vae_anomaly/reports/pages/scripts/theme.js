// Light, dark, or as the system has it: a button that goes round, and is kept.

import { byId } from "./dom.js";

const THEMES = ["system", "light", "dark"];
const THEME_KEY = "vae-anomaly:theme";

function chosenTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

function showTheme(theme) {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  const button = byId("theme");
  button.dataset.shown = theme;
  button.setAttribute("aria-label", `Theme: ${theme}. Change it.`);
  button.title = `Theme: ${theme}`;
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(chosenTheme()) + 1) % THEMES.length];
  showTheme(theme);
  try {
    if (theme === "system") localStorage.removeItem(THEME_KEY);
    else localStorage.setItem(THEME_KEY, theme);
  } catch {
    // a browser without storage: it holds until the page is closed
  }
}

showTheme(chosenTheme());
byId("theme").addEventListener("click", nextTheme);
