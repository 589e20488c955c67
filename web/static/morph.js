// Changes an element into fresh HTML by touching only what differs, so that
// focus, selection, open tables and bars in motion stay as they are.

/** Gives target the children that the HTML describes. */
export function morph(target, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  children(target, fresh.content);
}

function children(from, to) {
  const have = [...from.childNodes];
  const want = [...to.childNodes];
  want.forEach((node, i) => {
    if (i >= have.length) from.append(node);
    else if (have[i].nodeType !== node.nodeType || have[i].nodeName !== node.nodeName) have[i].replaceWith(node);
    else if (node.nodeType === Node.ELEMENT_NODE) element(have[i], node);
    else if (have[i].data !== node.data) have[i].data = node.data;
  });
  have.slice(want.length).forEach((node) => node.remove());
}

// Attributes that a reader or a module sets, and the server's HTML does not know.
const kept = new Set(["open", "hidden"]);

function element(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !kept.has(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !kept.has(name)) from.setAttribute(name, value);
  }
  children(from, to);
}
