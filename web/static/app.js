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

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-submit]")) return;
  // The app that somebody chose is remembered, for links that name none.
  if (target.id === "app") document.cookie = `herald_app=${target.value}; path=/; max-age=31536000; samesite=lax`;
  target.form.submit();
});

// A form that asks for a change stays as it is typed until the change is made:
// what is refused is said beside its field.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  const buttons = form.querySelectorAll("button");
  const body = new URLSearchParams(new FormData(form, event.submitter));
  form.querySelectorAll(".fault").forEach((f) => f.remove());
  form.querySelectorAll("[aria-invalid]").forEach((f) => f.removeAttribute("aria-invalid"));
  buttons.forEach((b) => (b.disabled = true));
  const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
  buttons.forEach((b) => (b.disabled = false));
  const said = answer?.headers.get("Content-Type")?.includes("json") ? await answer.json() : { words: answer ? await answer.text() : "Herald does not answer. Try again in a moment." };
  if (said.done && !said.stay && !said.said) {
    location.assign(said.to);
    return;
  }
  if (said.done) {
    tell(form, said.stay ? said.said : `${said.done}: ${said.said}`);
    return;
  }
  for (const { field, detail } of said.faults ?? []) {
    const input = form.elements[field.split(/[.[]/).at(-1)] ?? form.elements[field.split(/[.[]/)[0]] ?? form.elements[field.split(".")[1]?.split("[")[0]];
    fail(form, `${field ? `${field}: ` : ""}${detail}`, input?.tagName ? input : null);
  }
  if (!said.faults?.length) fail(form, said.words, null);
});

function fail(form, words, input) {
  const p = document.createElement("p");
  p.className = "fault";
  p.setAttribute("role", "alert");
  p.textContent = words;
  if (input && input.type !== "hidden") {
    input.setAttribute("aria-invalid", "true");
    input.after(p);
    input.focus();
  } else form.append(p);
}

function tell(form, words) {
  const place = form.querySelector(".said-here") ?? form.appendChild(Object.assign(document.createElement("div"), { className: "said-here" }));
  place.setAttribute("role", "status");
  const text = document.createElement("pre");
  text.textContent = words;
  place.replaceChildren(text);
}
