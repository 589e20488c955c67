// Changes the moving part of a page as the server says that it has changed.

import { enliven } from "./app.js";
import { follow } from "./live.js";
import { morph } from "./morph.js";

const place = document.getElementById("follow");
if (place) {
  follow(`/data/follow?${new URLSearchParams({ page: location.pathname + location.search })}`, (html) => {
    // What somebody is typing, choosing or about to confirm is not taken away.
    if (place.querySelector("input:focus:not([type=checkbox]), select:focus, textarea:focus, details.confirm[open]")) return;
    morph(place, html);
    enliven(place);
  });
}
