// Before the first paint: the theme that was chosen, and that scripts run at all.
{
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("vae-anomaly:theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // a browser without storage: the theme of the system stays
  }
}
