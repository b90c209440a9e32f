/** What was started, to be stopped in the reverse order. Stopping twice is safe. */
export class StopStack {
  private readonly steps: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];
  private stopping: Promise<void> | undefined;
  private readonly onFailure: (step: string, error: unknown) => void;

  constructor(onFailure: (step: string, error: unknown) => void) {
    this.onFailure = onFailure;
  }

  /** What is added after the stop, since it was still starting, is stopped at once. */
  add(name: string, stop: () => Promise<void> | void): void {
    this.steps.push({ name, stop });
    if (this.stopping !== undefined) this.stopping = this.stopping.then(() => this.run());
  }

  /** Runs every step; one that fails does not keep the others from theirs. */
  stop(): Promise<void> {
    this.stopping ??= this.run();
    return this.stopping;
  }

  private async run(): Promise<void> {
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      const { name, stop } = step;
      try {
        await stop();
      } catch (error) {
        this.onFailure(name, error);
      }
    }
  }
}
