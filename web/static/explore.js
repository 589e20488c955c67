// The page of questions: Ctrl+Enter runs, and the answer is drawn.

import { Chart } from "./charts.js";

const sql = document.getElementById("sql");
sql.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    sql.form.requestSubmit();
  }
});

const data = document.getElementById("plot-data");
if (data) {
  const place = document.getElementById("plot");
  const spec = JSON.parse(data.textContent);
  if (spec.kind === "bars") place.dataset.rows = spec.names.length > 16 ? "many" : "few";
  new Chart(place).draw(spec);
}
