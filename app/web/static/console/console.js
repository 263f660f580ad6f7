// Keeps the part of a page that moves current: by the stream of the service, by asking again and again where that
// fails, and says so where nothing answers. Without this file every page still works, and shows what was so when it came.
(() => {
  "use strict";
  const stream = document.getElementById("stream");
  const banner = document.getElementById("lost");
  if (!stream || !banner) return;

  // Milliseconds: between two requests for the page while the stream is silent; until such a request that has no answer
  // counts as lost; and until a silent stream does. The page sets the last: the server knows how often it sends a beat.
  const EVERY = 2000;
  const PATIENCE = 10000;
  const silence = () => Number(stream.dataset.silence);

  let asking = null;
  let question = null;
  let connection = null;
  let heard = 0; // how often the stream has said something
  let heardAt = performance.now();
  let isOver = false;

  // While nothing answers, what is shown may be old, and a button could ask for what nobody sees any more.
  const show = (isLost) => {
    banner.hidden = !isLost;
    for (const button of document.querySelectorAll('#live button')) button.disabled = isLost;
  };

  // Enter in a field presses none of several buttons: it leads to them.
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (event.key !== "Enter" || field.tagName !== "INPUT" || field.form?.id !== "act") return;
    event.preventDefault();
    const button = field.closest("details")?.querySelector("button");
    const said = document.getElementById("choose");
    if (button) button.focus();
    if (button && said) said.textContent = "Press the button of the action that you want.";
  });

  const askAgain = () => { asking ??= setInterval(() => document.hidden || ask(), EVERY); };

  const stopAsking = () => { clearInterval(asking); asking = null; };

  // One question at a time: of two answers the older could come last, and who answers slowly is asked no more often.
  async function ask() {
    if (question) return;
    const mine = question = new AbortController();
    const timer = setTimeout(() => mine.abort(), PATIENCE);
    try { await renew(mine.signal, heard); } finally { clearTimeout(timer); question = null; }
  }

  // What the stream has said since counts: neither an older answer nor that there was none.
  async function renew(signal, heardBefore) {
    let answer = null;
    let text = "";
    try {
      answer = await fetch(location.href, { headers: { "HX-Request": "true" }, cache: "no-store", signal });
      text = await answer.text(); // it may break off, too
    } catch {
      if (heard === heardBefore) show(true);
      return;
    }
    if (heard !== heardBefore) return;
    if (answer.status === 401) return location.reload(); // leads to where one signs in, and back
    if (answer.status >= 500) return show(true);
    if (answer.status === 405) return show(false); // the answer to a form: it cannot be asked for again
    const page = new DOMParser().parseFromString(text, "text/html");
    const live = page.getElementById("live");
    const who = (of) => of.querySelector(".who")?.textContent;
    if (!live || who(page) !== who(document)) return location.reload(); // somebody else may have signed in here
    await htmx.swap({ sourceElement: stream, target: "#live", swap: "innerMorph", text: live.innerHTML });
    show(false);
  }

  // A connection may be dead without being closed: a stopped server or an unplugged cable closes nothing. Until an answer
  // proves that the service is there, the page is treated as lost.
  function watch() {
    if (isOver || asking || document.hidden || performance.now() - heardAt < silence()) return;
    show(true);
    connection?.reader?.cancel().catch(() => {}); // htmx then connects again
    ask();
    askAgain();
  }

  stream.addEventListener("htmx:sse:after:connection", (event) => {
    connection = event.detail.connection;
    heardAt = performance.now();
  });
  // Not the connection but the first word ends the questions: somebody in between may hold back all that follows.
  stream.addEventListener("htmx:sse:before:message", () => {
    heard += 1;
    heardAt = performance.now();
    question?.abort();
    stopAsking();
    show(false);
  });
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
  stream.addEventListener("lost", () => show(true)); // it speaks, and can read nothing itself
  stream.addEventListener("end", () => { isOver = true; stopAsking(); });
  // The stream of a hidden page is closed; it has its time again when the page is looked at.
  document.addEventListener("visibilitychange", () => { heardAt = performance.now(); });
  setInterval(watch, 500);
  window.addEventListener("offline", () => { if (!isOver) show(true); });
  window.addEventListener("online", () => { if (!isOver) ask(); });
})();
