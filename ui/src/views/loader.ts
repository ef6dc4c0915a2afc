/** One piece of asking at a time: a new question ends the old one, news wait for it. */

export class Loader {
  #controller = new AbortController();
  #busy = false;
  #again = false;

  constructor(private readonly work: (signal: AbortSignal) => Promise<void>) {}

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ask now, whatever is being asked. */
  start(): void {
    this.#controller.abort();
    this.#controller = new AbortController();
    void this.#run(this.#controller.signal);
  }

  /** Ask again, but let what is being asked be answered first. */
  renew(): void {
    if (this.#busy) this.#again = true;
    else this.start();
  }

  dispose(): void {
    this.#again = false;
    this.#controller.abort();
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#busy = true;
    this.#again = false;
    await this.work(signal);
    if (signal.aborted) return;
    this.#busy = false;
    if (this.#again) this.start();
  }
}
