// Judging by keyboard: a judgement is sent, and the next pair opened once it is saved.
//
// The page works without this script: its buttons send the form themselves.
(function () {
  "use strict";

  const form = document.getElementById("judge");
  if (!form) {
    return;
  }
  const comment = document.getElementById("comment");
  const notSaved = document.getElementById("not-saved");
  const buttons = Array.from(form.querySelectorAll("button[name=choice]"));
  const KEYS = {
    ArrowLeft: "left",
    1: "left",
    ArrowRight: "right",
    2: "right",
    ArrowDown: "tie",
    t: "tie",
    T: "tie",
  };
  let sending = false;

  function say(text) {
    notSaved.textContent = text;
    notSaved.hidden = !text;
  }

  function wait(isWaiting) {
    sending = isWaiting;
    form.setAttribute("aria-busy", String(isWaiting));
    buttons.forEach((button) => button.setAttribute("aria-disabled", String(isWaiting)));
  }

  async function judge(choice) {
    if (sending) {
      return;
    }
    wait(true);
    say("");
    const words = new URLSearchParams(new FormData(form));
    words.set("choice", choice);
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: words,
        redirect: "manual",
        signal: AbortSignal.timeout(20000),
      });
      if (answer.type !== "opaqueredirect") {
        throw new Error(String(answer.status));
      }
      forgetDraft();
      window.location.assign(form.dataset.next);
    } catch (error) {
      const isSignedOut = error.message === "401" || error.message === "403";
      say(
        isSignedOut
          ? "Not saved: you are not signed in any more. Load the page again; your comment stays."
          : "Not saved: no answer from the server. Judge once more in a moment."
      );
      wait(false);
    }
  }

  // -- a comment that is not sent yet survives a reload ---------------------------------------

  function keepDraft() {
    try {
      window.sessionStorage.setItem(form.dataset.draft, comment.value);
    } catch (error) {
      // a browser that keeps nothing: the comment is sent with the judgement all the same
    }
  }

  function forgetDraft() {
    try {
      window.sessionStorage.removeItem(form.dataset.draft);
    } catch (error) {
      // nothing was kept
    }
  }

  function takeDraft() {
    try {
      const kept = window.sessionStorage.getItem(form.dataset.draft);
      if (kept !== null) {
        comment.value = kept;
      }
    } catch (error) {
      // nothing was kept
    }
  }

  // -- keys -----------------------------------------------------------------------------------

  function isElsewhere(event) {
    const place = event.target instanceof Element ? event.target : document.body;
    if (place.closest("input, select, textarea, nav, [role=menu], [contenteditable]")) {
      return true;
    }
    return event.key === "ArrowDown" && Boolean(place.closest(".text")); // it scrolls the text
  }

  function press(event) {
    const isCombined = event.ctrlKey || event.metaKey || event.altKey;
    if (event.target === comment && event.key === "Escape") {
      comment.blur();
      return;
    }
    if (event.defaultPrevented || event.repeat || isCombined || isElsewhere(event)) {
      return;
    }
    const back = document.getElementById("back");
    if (KEYS[event.key]) {
      event.preventDefault();
      judge(KEYS[event.key]);
    } else if (event.key === "c" || event.key === "C") {
      event.preventDefault();
      comment.focus();
    } else if ((event.key === "u" || event.key === "U" || event.key === "Backspace") && back) {
      event.preventDefault();
      back.click();
    }
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    if (event.submitter && event.submitter.name === "choice") {
      judge(event.submitter.value);
    }
  });
  comment.addEventListener("input", keepDraft);
  document.addEventListener("keydown", press);
  takeDraft();
}());
