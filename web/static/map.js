// Draws the map: outlines of countries that come with Herald, fences, places and
// blurred devices. Nothing is fetched from anywhere else.

const data = JSON.parse(document.getElementById("map-data").textContent);
const box = document.getElementById("map");
const map = L.map(box, { attributionControl: false, worldCopyJump: true, minZoom: 1, maxZoom: 19, zoomSnap: 0.5 }).setView([25, 10], 1.5);
L.control.scale({ imperial: false }).addTo(map);

const styled = []; // what is drawn anew when the theme changes
function style(layer, make) {
  styled.push(() => layer.setStyle(make()));
  layer.setStyle(make());
  return layer.addTo(map);
}
// The stylesheet has light-dark(), which only a computed colour resolves.
function resolved(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  box.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
document.addEventListener("theme", () => styled.forEach((again) => again()));

/** TopoJSON keeps each border once, as steps from a point. */
async function outlines() {
  const answer = await fetch("/static/vendor/world/countries-110m.json");
  const { arcs, transform: { scale, translate } } = await answer.json();
  const lines = arcs.flatMap((arc) => {
    let x = 0, y = 0;
    const parts = [[]];
    for (const [dx, dy] of arc) {
      const at = [(y += dy) * scale[1] + translate[1], (x += dx) * scale[0] + translate[0]];
      const before = parts.at(-1).at(-1);
      if (before && Math.abs(at[1] - before[1]) > 180) parts.push([]); // over the antimeridian
      parts.at(-1).push(at);
    }
    return parts;
  });
  style(L.polyline(lines, { interactive: false }), () => ({ color: resolved("--ink-2"), weight: 0.8, opacity: 0.7 })).bringToBack();
}

const corners = (polygon) => {
  // Longitudes follow each other over the antimeridian.
  let before = polygon[0].lon;
  return polygon.map(({ lat, lon }) => [lat, (before = lon + 360 * Math.round((before - lon) / 360))]);
};
function shape({ circle, polygon }, token, words) {
  const layer = circle ? L.circle([circle.lat, circle.lon], { radius: circle.radius_m }) : L.polygon(corners(polygon));
  const popup = document.createElement("span");
  popup.textContent = words; // never read as HTML
  style(layer, () => ({ color: resolved(token), weight: 2, fillOpacity: 0.15 })).bindPopup(popup);
  return layer;
}

const shown = [], edited = [];
for (const fence of data.fences ?? []) (fence.id === data.edit ? edited : shown).push(shape(fence, "--accent", `Fence: ${fence.name || fence.id}`));
for (const place of data.places ?? []) shown.push(shape(place, "--c2", `Place: ${place.name}`));
const people = (data.points ?? []).map(({ lat, lon }) =>
  style(L.circleMarker([lat, lon], { radius: 4, interactive: false }), () => ({ color: resolved("--c1"), weight: 1, fillOpacity: 0.6 })));
if (data.near) people.push(style(L.circle([data.near.lat, data.near.lon], { radius: data.near.radius_m, interactive: false }), () => ({ color: resolved("--c1"), weight: 1.5, dashArray: "4 4", fill: false })));

const focus = edited.length ? edited : people.length ? people : shown;
if (focus.length) map.fitBounds(L.featureGroup(focus).getBounds().pad(0.3), { maxZoom: 16, animate: false });

// Where the pointer is, in plain coordinates.
const pointer = document.getElementById("pointer");
const tell = ({ lat, lng }) => (pointer.textContent = `${lat.toFixed(5)}, ${lng.toFixed(5)}`);
map.on("mousemove", ({ latlng }) => tell(latlng.wrap()));
map.on("moveend", () => tell(map.getCenter().wrap()));
tell(map.getCenter().wrap());

// A click fills the forms in: the middle of a circle, or one more corner.
let draft;
map.on("click", ({ latlng }) => {
  const { lat, lng } = latlng.wrap();
  const at = { lat: +lat.toFixed(6), lon: +lng.toFixed(6) };
  const fence = document.getElementById("fence"), adding = document.getElementById("corners");
  if (fence && adding.checked) {
    const field = fence.elements.polygon;
    let list = [];
    try { list = JSON.parse(field.value || "[]"); } catch { /* begun anew */ }
    list.push(at);
    field.value = JSON.stringify(list);
    sketch(list.length > 1 ? L.polygon(corners(list)) : L.circleMarker([at.lat, at.lon], { radius: 4 }));
    return;
  }
  for (const form of [fence, document.getElementById("who")]) if (form) [form.elements.lat.value, form.elements.lon.value] = [at.lat, at.lon];
  sketch(L.circle([at.lat, at.lon], { radius: +(fence ?? document.getElementById("who")).elements.radius_m.value || 200 }));
});
function sketch(layer) {
  draft?.remove();
  draft = style(layer, () => ({ color: resolved("--warn"), weight: 2, dashArray: "6 4", fillOpacity: 0.1 }));
}

await outlines();
box.dataset.drawn = "yes";
