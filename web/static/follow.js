// Fetches the page again while somebody looks, and changes what has changed.

import { morph } from "./morph.js";

const place = document.getElementById("follow");
let wait = Number(place.dataset.follow);

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("follow");
  if (!fresh) return;
  wait = Number(fresh.dataset.follow);
  morph(place, fresh.innerHTML);
}

const loop = () => setTimeout(() => refresh().finally(loop), wait);
loop();
document.addEventListener("visibilitychange", refresh);
