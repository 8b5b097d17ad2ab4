// Sections of a long page: folded on a phone, open on paper and where a link leads into them.

const PHONE = "(max-width: 40rem)";

/** Fold the sections of the page where there is little room. */
export function startFolds() {
  const folds = [...document.querySelectorAll(".fold")];
  if (matchMedia(PHONE).matches) for (const fold of folds) fold.open = false;
  openAt(location.hash);
  window.addEventListener("hashchange", () => openAt(location.hash));
  document.addEventListener("click", (event) => openAt(event.target.closest?.("a[href^='#']")?.hash));
  window.addEventListener("beforeprint", () => folds.forEach((fold) => (fold.open = true)));
}

function openAt(hash) {
  const place = hash ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
  const fold = place?.closest(".fold") ?? place?.querySelector(".fold");
  if (!fold || fold.open) return;
  fold.open = true;
  place.scrollIntoView();
}
