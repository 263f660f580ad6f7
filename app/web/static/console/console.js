// Keeps the part of a page that moves current: by the stream of the service, by asking again and again where that
// fails, and says so where nothing answers. Without this file every page still works, and shows what was so when it came.
(() => {
  "use strict";
  const stream = document.getElementById("stream");
  const banner = document.getElementById("lost");
  if (!stream || !banner) return;
  const asksOnly = "every" in stream.dataset; // a page that has no stream says how often it is asked for
  const EVERY = Number(stream.dataset.every) || 2000; // milliseconds between two questions while there is no stream

  const PATIENCE = 15000; // milliseconds after which what has not answered is taken for lost
  let asking = null;
  let isAsking = false;
  let isOver = false;

  const show = (isLost) => { banner.hidden = !isLost; };

  const askAgain = () => { asking ??= setInterval(() => document.hidden || ask(), EVERY); };

  const stopAsking = () => { clearInterval(asking); asking = null; };

  // One question at a time: of two answers the older could come last, and who answers slowly is asked no more often.
  async function ask() {
    if (isAsking) return;
    isAsking = true;
    try { await renew(); } finally { isAsking = false; }
  }

  async function renew() {
    let answer = null;
    let text = "";
    try {
      answer = await fetch(location.href, {
        headers: { "HX-Request": "true" }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
      });
      text = await answer.text(); // it may break off, too
    } catch {
      return show(true);
    }
    if (answer.status === 401) return location.reload(); // leads to where one signs in, and back
    if (answer.status >= 500) return show(true);
    const page = new DOMParser().parseFromString(text, "text/html");
    const live = page.getElementById("live");
    const who = (of) => of.querySelector(".who")?.textContent;
    if (!live || who(page) !== who(document)) return location.reload(); // somebody else may have signed in here
    await htmx.swap({ sourceElement: stream, target: "#live", swap: "innerMorph", text: live.innerHTML });
    show(false);
  }

  stream.addEventListener("htmx:sse:after:connection", () => { stopAsking(); show(false); });
  stream.addEventListener("htmx:sse:error", (event) => {
    if (event.detail.status === 401) return location.reload();
    if (event.detail.status === 404 || event.detail.status === 204) return;
    ask();
    askAgain();
  });
  // What the stream is refused at the first try: too many watch, or somebody in between lets no stream through.
  document.addEventListener("htmx:after:request", (event) => {
    const status = event.detail?.ctx?.response?.status;
    if (event.target !== stream || !status || status < 400) return;
    if (status === 401) return location.reload();
    askAgain();
  });
  document.addEventListener("htmx:error", (event) => { if (event.target === stream) { ask(); askAgain(); } });
  stream.addEventListener("end", () => { isOver = true; stopAsking(); });
  if (asksOnly) askAgain();
  window.addEventListener("offline", () => { if (!isOver) show(true); });
  window.addEventListener("online", () => { if (!isOver) ask(); });
})();
