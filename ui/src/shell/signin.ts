/** Ask for the token of a server that others can reach. */

import { h } from "../dom";
import { say } from "../text";

/** Resolves once the server took the token. */
export function signIn(): Promise<void> {
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
            void send(field.value).then((taken) => {
              if (!taken) {
                wrong.textContent = words.wrong;
                return;
              }
              dialog.remove();
              resolve();
            });
          },
        },
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

async function send(token: string): Promise<boolean> {
  const response = await fetch("/api/v1/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  return response.ok;
}
