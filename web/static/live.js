// A stream of server-sent events that is open only while somebody looks, comes
// back by itself, and says how it is.

const words = { on: "Live", wait: "Reconnecting", pause: "Paused", out: "Signed out" };

/** Follows url; onUpdate gets each event's data, decoded. */
export function follow(url, onUpdate) {
  const indicator = document.getElementById("live");
  const word = document.getElementById("live-word");
  let source, timer, failures = 0;

  const show = (state) => {
    indicator.dataset.state = state;
    if (word.textContent !== words[state]) word.textContent = words[state]; // one announcement per change
  };
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  };
  const open = () => {
    close();
    source = new EventSource(url);
    const heard = (event) => {
      failures = 0;
      show("on");
      onUpdate(JSON.parse(event.data));
    };
    for (const kind of ["numbers", "part"]) source.addEventListener(kind, heard);
    // EventSource gives up by itself on some errors; this never does.
    source.onerror = async () => {
      close();
      show("wait");
      timer = setTimeout(open, backoff(failures++));
      const answer = await fetch(url.startsWith("/data/follow?") ? location.href : url.replace("/stream?", "?"), { redirect: "manual" }).catch(() => null);
      if (answer?.status === 401 || answer?.type === "opaqueredirect") {
        close();
        show("out");
        location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      }
    };
  };
  const look = () => (document.hidden ? (close(), show("pause")) : open());

  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && look());
  look();
}

/** Milliseconds to wait before try n (from 0): doubling to 30 s, never in step with others. */
export const backoff = (n) => Math.min(30000, 500 * 2 ** n) * (0.75 + Math.random() / 2);
