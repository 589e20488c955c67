// Keeps the vendors' counts as they are now, and leaves the switches alone: a
// person may be turning them.

import { morph } from "./morph.js";

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/sandbox", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const place of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${CSS.escape(place.dataset.live)}"]`);
    if (place.querySelector("details[open]")) continue; // somebody is reading there
    if (fresh) morph(place, fresh.innerHTML);
  }
}

const loop = () => setTimeout(() => refresh().finally(loop), 2000);
loop();
