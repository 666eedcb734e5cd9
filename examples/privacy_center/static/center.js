// What makes the centre quick. Without it every switch is a form, and every page works.
"use strict";

const POLL_MS = 1000;
const GOOD_NEWS_MS = 8000;
const main = () => document.querySelector("#content");
const panel = () => document.querySelector("#services");
const versionOf = (element) => Number(element?.dataset.version ?? 0);
const isOurs = (element) => element?.dataset.shownTo === main().dataset.shownTo;
const TAKES_BACK = { grant: "withdraw", publish: "hide", lift_objection: "object", lift_restriction: "restrict" };

const presses = []; // sent one after the other, in their order
let isSending = false;
let ownChanges = 0; // accepted since this page was loaded: its customer knows of them, whatever version a form has

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

let fading;

function announce(text, tone) {
  const note = document.querySelector("#note");
  note.textContent = text;
  note.dataset.tone = tone;
  clearTimeout(fading);
  if (tone === "good") fading = setTimeout(() => { note.textContent = ""; }, GOOD_NEWS_MS); // bad news stay
}

// Put the answers of the services, or a whole page, in the place of what is shown.

function showPanel(fresh) {
  const before = new Map([...panel().querySelectorAll("[data-ask]")].map((row) => [row.dataset.ask, row.dataset.answer]));
  for (const row of fresh.querySelectorAll("[data-ask]")) {
    row.classList.toggle("changed", before.get(row.dataset.ask) !== row.dataset.answer);
  }
  panel().replaceChildren(...fresh.childNodes);
  panel().dataset.version = fresh.dataset.version;
}

function showPage(html, url) {
  const page = parse(html);
  if (!isOurs(page.querySelector("#content"))) return location.assign(url); // another has signed in
  const focused = document.activeElement?.id;
  const fresh = document.adoptNode(page.querySelector("#content"));
  const news = fresh.querySelector("#note");
  const note = document.querySelector("#note"); // stays in the page: only so is its new text read out
  news.replaceWith(note);
  main().replaceWith(fresh);
  if (news.textContent) announce(news.textContent, news.dataset.tone);
  presses.forEach(({ key, wanted }) => turn(document.getElementById(key), wanted));
  if (focused) (document.getElementById(focused) ?? main()).focus({ preventScroll: true });
  showPanel(page.querySelector("#services"));
}

// Shows a switch as it is wanted before it is recorded so; `said` keeps what the centre said of it.
function turn(button, wanted) {
  if (!button || !wanted) return;
  button.dataset.said ??= button.getAttribute("aria-checked");
  button.setAttribute("aria-checked", wanted);
}

// The form to send for a press; none if the switch stands as wanted by now, or is gone. After a press whose answer was
// lost nobody knows how it stands: then a no goes out whatever is shown.
function formOf({ key, wanted, body, isAfterLoss }) {
  if (!wanted) return body;
  const button = document.getElementById(key);
  if (!button) return null;
  const form = new URLSearchParams(new FormData(button.form));
  if (button.dataset.said !== wanted) return form;
  const no = isAfterLoss && TAKES_BACK[form.get("say")];
  if (!no) return null;
  form.set("say", no);
  return form;
}

async function send(press) {
  const body = formOf(press);
  if (!body) return;
  // The version its customer saw when pressing, and the customer's own changes since: what came from elsewhere is not
  // in it, so that a yes on top of that is held up.
  body.set("version", String(press.seen + ownChanges - press.ownBefore));
  for (const name of ["shown_to", "shown_in"]) body.set(name, press.body.get(name)); // the page may be another by now
  const answer = await fetch("/say", { method: "POST", body, headers: { Accept: "text/html" } });
  const html = await answer.text();
  const page = parse(html);
  if (!answer.ok || !page.querySelector("#services")) throw new Error(page.querySelector("#note")?.textContent ?? "");
  if (/[?&]note=(un)?heard\b/.test(answer.url)) ownChanges += 1;
  showPage(html, answer.url);
}

async function sendAll() {
  if (isSending) return;
  isSending = true;
  while (presses.length) {
    const press = presses.shift();
    try {
      await send(press);
    } catch (error) {
      presses.filter(({ key }) => key === press.key).forEach((later) => { later.isAfterLoss = true; });
      const isSaid = !(error instanceof TypeError) && error.message;
      announce(isSaid ? error.message : main().dataset.offline, "bad");
      const button = document.getElementById(press.key);
      if (button?.dataset.said && !presses.some(({ key }) => key === press.key)) turn(button, button.dataset.said);
    }
  }
  isSending = false;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-quick]")) return;
  event.preventDefault();
  const button = event.submitter;
  const isSwitch = button.getAttribute("role") === "switch";
  const wanted = isSwitch ? String(button.getAttribute("aria-checked") !== "true") : null;
  const body = new URLSearchParams(new FormData(form));
  turn(button, wanted);
  presses.push({ key: button.id, wanted, body, seen: versionOf(main()), ownBefore: ownChanges });
  sendAll();
});

// What is said elsewhere, in another tab or another program, shows here as well.
async function look() {
  if (document.hidden || isSending) return;
  try {
    const answer = await fetch("/services", { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected || isSending) return;
    const fresh = parse(await answer.text()).querySelector("#services");
    if (isSending) return; // a press since: to reload now would lose its answer
    if (!isOurs(fresh)) return location.reload();
    showPanel(fresh);
    if (versionOf(panel()) <= versionOf(main())) return;
    const page = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (page.ok && !page.redirected && !isSending) showPage(await page.text(), page.url);
  } catch {
    // The next look tells.
  }
}

// On a phone the sections are wider than the screen: bring the one that is open into sight.
const here = document.querySelector(".sections [aria-current]");
if (here) {
  const bar = here.closest(".sections");
  bar.scrollLeft = here.offsetLeft - bar.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2;
}

if (panel()) {
  document.documentElement.classList.add("scripted");
  setInterval(look, POLL_MS);
}
