/** Ask for the token of a server that others can reach. */

import { h } from "../dom";
import { say } from "../text";

let asking: Promise<void> | null = null;

/** Resolves once the server took the token; it is asked for once, whoever needs it. */
export function signIn(): Promise<void> {
  asking ??= asked().finally(() => {
    asking = null;
  });
  return asking;
}

function asked(): Promise<void> {
  const words = say().signIn;
  return new Promise((resolve) => {
    const field = h("input", { class: "field", type: "password", autocomplete: "current-password", required: true, "aria-label": words.token });
    const wrong = h("p", { class: "bad", role: "alert" });
    const dialog = h(
      "dialog",
      { class: "dialog sign-in", "aria-labelledby": "sign-in-title" },
      h("h2", { id: "sign-in-title" }, words.title),
      h("p", { class: "dim" }, words.why),
      h(
        "form",
        {
          onSubmit: (event: Event) => {
            event.preventDefault();
            void send(field.value).then((refused) => {
              wrong.textContent = refused;
              if (refused) {
                field.select();
                return;
              }
              dialog.remove();
              resolve();
            });
          },
        },
        // Keepers of passwords want to know whose it is.
        h("input", { type: "text", autocomplete: "username", value: "plimsoll", hidden: true }),
        field,
        h("button", { class: "button", type: "submit" }, words.go),
      ),
      wrong,
    );
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Return why the server did not take a token; nothing if it did. */
async function send(token: string): Promise<string> {
  const words = say().signIn;
  const response = await fetch("/api/v1/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  }).catch(() => null);
  if (!response) return words.silent;
  if (response.ok) return "";
  return response.status === 401 ? words.wrong : words.later;
}
