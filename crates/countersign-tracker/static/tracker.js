// What the pages do besides being pages: the dialog, and asking whether there is something new.
"use strict";

(() => {
  const dialog = document.getElementById("create-dialog");
  const create = document.getElementById("create");
  if (dialog && create) {
    create.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.showModal();
      dialog.querySelector("#summary").focus();
    });
    document.getElementById("create-cancel").addEventListener("click", () => dialog.close());
  }

  const news = document.getElementById("news");
  const known = document.querySelector("[data-issues]");
  const signedIn = document.getElementById("who");
  const tell = (text) => {
    news.textContent = text;
    news.hidden = false;
  };
  const ask = async () => {
    try {
      const answer = await fetch("/poll", { headers: { accept: "application/json" } });
      const { signed_in, issues } = await answer.json();
      if (!signed_in) {
        tell("You are signed out. What you type here is kept when you send it.");
      } else if (known && issues > Number(known.dataset.issues)) {
        tell("There are new issues: load the page again to see them.");
      }
    } catch {
      // The next time will tell.
    }
  };
  if (news && signedIn) {
    setInterval(ask, 60 * 1000);
  }
})();
