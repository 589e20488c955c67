// What every page does: the theme toggle, copy buttons, selects that submit.

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The theme that is shown: the chosen one, or else the system's. */
export const theme = () => root.dataset.theme || (dark.matches ? "dark" : "light");

const toggle = document.getElementById("theme");
const announce = () => {
  toggle.setAttribute("aria-label", theme() === "dark" ? "Switch to light" : "Switch to dark");
  document.dispatchEvent(new Event("theme"));
};
toggle.hidden = false;
toggle.addEventListener("click", () => {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  // A cookie, so that the server can draw the next page in it at once.
  document.cookie = `herald_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  announce();
});
dark.addEventListener("change", announce);
announce();

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C"; // no clipboard without HTTPS, except on localhost
    getSelection().selectAllChildren(button.previousElementSibling);
  }
  setTimeout(() => (button.textContent = "Copy"), 1600);
});

/** Shows what works only with this module, in fresh HTML too. */
export const enliven = (within) => within.querySelectorAll("[data-copy]").forEach((b) => (b.hidden = false));
enliven(document);

document.querySelectorAll("[data-submit]").forEach((s) =>
  s.addEventListener("change", () => {
    // The app that somebody chose is remembered, for links that name none.
    if (s.id === "app") document.cookie = `herald_app=${s.value}; path=/; max-age=31536000; samesite=lax`;
    s.form.submit();
  }),
);
