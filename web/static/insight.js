// Keeps a page of numbers as it is now: its parts and its charts.

import { Chart } from "./charts.js";
import { enliven } from "./app.js";
import { follow } from "./live.js";
import { morph } from "./morph.js";

const place = document.getElementById("insight");
const charts = [...document.querySelectorAll("[data-chart]")].map((el) => [el.dataset.chart, new Chart(el)]);

follow(place.dataset.stream, ({ charts: specs, parts }) => {
  document.querySelectorAll("[aria-busy]").forEach((el) => el.removeAttribute("aria-busy"));
  for (const [name, html] of Object.entries(parts)) {
    const part = document.getElementById(`part-${name}`);
    // A form that somebody is filling in stays as they left it.
    if (part.querySelector("form :focus, dialog[open]")) continue;
    morph(part, html);
    enliven(part);
  }
  for (const [name, chart] of charts) chart.draw(specs[name]);
});
