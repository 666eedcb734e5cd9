// What makes the centre quick. Without it every switch is a form, and every page works.
"use strict";

const POLL_MS = 1000;
const main = () => document.querySelector("#content");
const panel = () => document.querySelector("#services");
const versionOf = (element) => Number(element?.dataset.version ?? 0);

let sending = Promise.resolve(); // one after the other, in the order pressed
let waiting = 0;
let ownChanges = 0; // accepted on this page since it was loaded: what its customer knows of, although the forms do not

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

function announce(text, tone) {
  const note = document.querySelector("#note");
  note.textContent = text;
  note.dataset.tone = tone;
}

// Puts a page, or its panel alone, in the place of what is shown, and keeps the focus and what was unfolded.
function showPanel(fresh) {
  const before = new Map([...panel().querySelectorAll("[data-ask]")].map((row) => [row.dataset.ask, row.dataset.answer]));
  for (const row of fresh.querySelectorAll("[data-ask]")) {
    row.classList.toggle("changed", before.get(row.dataset.ask) !== row.dataset.answer);
  }
  panel().replaceChildren(...fresh.childNodes);
  panel().dataset.version = fresh.dataset.version;
}

function showMain(fresh) {
  const focused = document.activeElement?.id;
  const { text, tone } = { text: fresh.querySelector("#note").textContent, tone: fresh.querySelector("#note").dataset.tone };
  const note = document.querySelector("#note"); // stays in place: only so is its new text read out
  fresh.querySelector("#note").replaceWith(note);
  main().replaceWith(fresh);
  if (text) announce(text, tone);
  if (focused) (document.getElementById(focused) ?? main()).focus({ preventScroll: true });
}

function show(html) {
  const page = parse(html);
  showMain(document.adoptNode(page.querySelector("#content")));
  showPanel(page.querySelector("#services"));
}

function flip(button) {
  if (button?.getAttribute("role") !== "switch") return () => {};
  const before = button.getAttribute("aria-checked");
  button.setAttribute("aria-checked", String(before !== "true"));
  return () => button.setAttribute("aria-checked", before);
}

async function send(form, body, seen, ownBefore, undo) {
  // The version its customer saw when pressing, and the customer's own changes since: what came from elsewhere is not
  // in it, so that a yes on top of that is held up.
  if (body.has("version")) body.set("version", String(seen + ownChanges - ownBefore));
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    const html = await answer.text();
    if (answer.ok && parse(html).querySelector("#services")) {
      if (/[?&]note=(un)?heard\b/.test(answer.url)) ownChanges += 1;
      if (waiting === 1) show(html); // else the next answer shows it all
      return;
    }
    undo();
    announce(parse(html).querySelector("#note")?.textContent ?? main().dataset.offline, "bad");
  } catch {
    undo();
    announce(main().dataset.offline, "bad");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-quick]")) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  const [seen, ownBefore] = [versionOf(main()), ownChanges];
  const undo = flip(event.submitter);
  waiting += 1;
  sending = sending.then(() => send(form, body, seen, ownBefore, undo)).finally(() => { waiting -= 1; });
});

// What is said elsewhere, in another tab or another program, shows here as well.
async function look() {
  if (document.hidden || waiting || !panel()) return;
  try {
    const answer = await fetch("/services", { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected || waiting) return;
    showPanel(parse(await answer.text()).querySelector("#services"));
    if (versionOf(panel()) > versionOf(main())) {
      const page = await fetch(location.pathname, { headers: { Accept: "text/html" } });
      if (page.ok && !page.redirected && !waiting) show(await page.text());
    }
  } catch {
    // The next look tells.
  }
}

if (panel()) setInterval(look, POLL_MS);
