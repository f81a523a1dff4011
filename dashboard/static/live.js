// Fetches this page again and again, and puts what changed into its parts marked `data-live`.
//
// Elements are matched by id, else by place, and changed where they differ: so focus, scrolling,
// selections and open details stay as they are. Nothing is fetched while the tab is hidden.
// The page is complete without this script.
(function () {
  "use strict";

  const USUAL_S = 2;
  const LONGEST_S = 60;
  const stale = document.getElementById("stale");
  const first = document.querySelector("[data-live]");
  if (!first) {
    return;
  }
  let failures = 0;
  let timer = 0;
  let running = false;
  let fresh = Date.now();

  function isSame(old, next) {
    return old.nodeType === next.nodeType && old.nodeName === next.nodeName && (old.id || "") === (next.id || "");
  }

  function copyAttributes(old, next) {
    for (const { name } of Array.from(old.attributes)) {
      // what a reader opened stays open
      if (!next.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) {
        old.removeAttribute(name);
      }
    }
    for (const { name, value } of Array.from(next.attributes)) {
      if (old.getAttribute(name) !== value) {
        old.setAttribute(name, value);
      }
    }
  }

  function update(old, next) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== next.nodeValue) {
        old.nodeValue = next.nodeValue;
      }
      return;
    }
    if (!old.isEqualNode(next)) {
      copyAttributes(old, next);
      updateChildren(old, next);
    }
  }

  function updateChildren(old, next) {
    const known = new Map(Array.from(old.children).filter((e) => e.id).map((e) => [e.id, e]));
    let here = old.firstChild;
    for (const wanted of Array.from(next.childNodes)) {
      const moved = wanted.id && known.get(wanted.id);
      if (moved && moved !== here && isSame(moved, wanted)) {
        old.insertBefore(moved, here);
        here = moved;
      }
      if (here && isSame(here, wanted)) {
        update(here, wanted);
        here = here.nextSibling;
      } else {
        old.insertBefore(document.importNode(wanted, true), here);
      }
    }
    while (here) {
      const gone = here;
      here = here.nextSibling;
      gone.remove();
    }
  }

  function show(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const parts = Array.from(document.querySelectorAll("[data-live]"));
    const found = parts.map((part) => [part, page.getElementById(part.id)]);
    if (found.some(([, next]) => !next)) {
      throw new Error("another page was answered");
    }
    const focused = document.activeElement;
    found.forEach(([part, next]) => update(part, next));
    if (focused && focused !== document.activeElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
    }
  }

  function say(text) {
    if (stale) {
      stale.textContent = text;
      stale.hidden = !text;
    }
  }

  function sayHowOld() {
    const seconds = Math.round((Date.now() - fresh) / 1000);
    say("Not up to date since " + seconds + " s: no answer from here. Trying again.");
  }

  async function look() {
    if (running || document.hidden) {
      return;
    }
    running = true;
    try {
      const answer = await fetch(window.location.href, {
        cache: "no-store",
        signal: AbortSignal.timeout(20000),
      });
      if (answer.status === 401 || answer.status === 403 || answer.redirected) {
        say("You are not signed in any more: load the page again.");
        return;
      }
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      show(await answer.text());
      failures = 0;
      fresh = Date.now();
      say("");
    } catch (error) {
      failures += 1;
      if (failures > 1) {
        sayHowOld();
      }
    } finally {
      running = false;
    }
    plan();
  }

  function plan() {
    const usual = Number(first.dataset.live) || USUAL_S;
    const wait = Math.min(LONGEST_S, usual * 2 ** Math.min(failures, 6));
    window.clearTimeout(timer);
    timer = window.setTimeout(look, Math.max(wait, usual) * 1000);
  }

  document.addEventListener("visibilitychange", function () {
    window.clearTimeout(timer);
    if (!document.hidden) {
      look();
    }
  });
  plan();
}());
