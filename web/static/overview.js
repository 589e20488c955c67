// Keeps the overview's numbers and charts as they are now.

import { Chart } from "./charts.js";
import { enliven } from "./app.js";
import { follow } from "./live.js";
import { morph } from "./morph.js";

const place = document.getElementById("overview");

const charts = [
  new Chart(document.getElementById("chart-latency"), "ms", [
    { name: "p95", key: "p95_ms", colour: "--accent-2", dash: [5, 4] },
    { name: "p50", key: "p50_ms", colour: "--accent", fill: 12 },
  ]),
  new Chart(document.getElementById("chart-throughput"), "/min", [
    { name: "Accepted", key: "accepted_per_min", colour: "--accent-3", fill: 18 },
    { name: "Delivered", key: "delivered_per_min", colour: "--accent", fill: 14 },
    { name: "Displayed", key: "displayed_per_min", colour: "--accent-2", dash: [6, 4] },
    { name: "Clicked", key: "clicked_per_min", colour: "--accent-2", dash: [2, 3] },
    { name: "Failed", key: "failed_per_min", colour: "--bad", width: 1.6 },
  ]),
];

follow(place.dataset.stream, ({ numbers, parts }) => {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.getElementById(`part-${name}`);
    morph(part, html);
    enliven(part);
  }
  charts.forEach((chart) => chart.draw(numbers));
});
