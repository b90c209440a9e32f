import { until } from '@replyx/testkit';
import type { DevTools, DevToolsEvent, Fields } from './devtools.js';

/** What a console would show, errors and warnings only. */
export interface Complaint {
  /** `console`, `exception`, or what the browser names: `network`, `security`, `javascript`. */
  readonly source: string;
  readonly text: string;
  /** What it is about, where the browser says it. */
  readonly url: string;
}

/** A request that brought the page nothing. */
export interface Failure {
  readonly url: string;
  readonly method: string;
  /** Why the browser withheld it: `csp`, or a reason of CORS; else the error of the network. */
  readonly why: string;
}

const COMPLAINTS = ['error', 'warning', 'assert'];

/** A document with a process of its own: the page, or a frame of another site in it. */
export class Frame {
  readonly #devTools: DevTools;
  readonly #sessionId: string;

  constructor(devTools: DevTools, sessionId: string) {
    this.#devTools = devTools;
    this.#sessionId = sessionId;
  }

  send(method: string, params: Fields = {}): Promise<Fields> {
    return this.#devTools.send(method, params, this.#sessionId);
  }

  /** The value of a JavaScript expression in the document, a promise's once it is there. Rejects with what it throws. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails === undefined) return result.value;
    throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
  }

  /** Calls a global function of the document. */
  call<T>(name: string, ...args: readonly unknown[]): Promise<T> {
    return this.evaluate(`${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`);
  }

  /** The text of the first element that a selector names. */
  text(selector: string): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`);
  }
}

/** A tab, and what it and all of its frames complain of. */
export class Page {
  readonly top: Frame;
  readonly complaints: Complaint[] = [];
  readonly failures: Failure[] = [];
  /** Addresses of the sockets that were opened, oldest first. */
  readonly sockets: string[] = [];
  readonly #devTools: DevTools;
  readonly #targetId: string;
  readonly #frames = new Map<string, Frame>();
  readonly #requests = new Map<string, { readonly url: string; readonly method: string }>();

  constructor(devTools: DevTools, targetId: string, sessionId: string) {
    this.#devTools = devTools;
    this.#targetId = targetId;
    this.top = new Frame(devTools, sessionId);
    this.#frames.set(sessionId, this.top);
    devTools.onEvent((event) => {
      if (event.sessionId !== undefined && this.#frames.has(event.sessionId)) this.#see(event);
    });
  }

  /** Begins to watch, and goes to the address; resolves when the document and its frames are loaded. */
  async open(url: string): Promise<void> {
    await this.#watch(this.top);
    const { errorText } = await this.top.send('Page.navigate', { url });
    if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
    await until(() => this.top.evaluate(`location.href !== 'about:blank' && document.readyState === 'complete'`), {
      what: `${url} to load`,
    });
  }

  /** The frame of another site whose address holds `part`, when it is there and loaded. */
  async frame(part: string): Promise<Frame> {
    const holds = `location.href.includes(${JSON.stringify(part)}) && document.readyState === 'complete'`;
    return await until(
      async () => {
        for (const frame of this.#frames.values()) {
          if (frame !== this.top && (await frame.evaluate<boolean>(holds))) return frame;
        }
        return undefined;
      },
      { what: `a frame of ${part}`, everyMs: 50 },
    );
  }

  /** Types into what has the focus, in whichever frame, as a keyboard does. */
  async type(text: string, key?: 'Enter'): Promise<void> {
    await this.top.send('Input.insertText', { text });
    if (key === undefined) return;
    const stroke = { key, code: key, windowsVirtualKeyCode: 13, text: '\r' };
    await this.top.send('Input.dispatchKeyEvent', { type: 'keyDown', ...stroke });
    await this.top.send('Input.dispatchKeyEvent', { type: 'keyUp', ...stroke });
  }

  async close(): Promise<void> {
    await this.#devTools.send('Target.closeTarget', { targetId: this.#targetId });
  }

  async #watch(frame: Frame): Promise<void> {
    await Promise.all([
      ...['Page', 'Runtime', 'Log', 'Network'].map((domain) => frame.send(`${domain}.enable`)),
      // A frame waits until it is watched, so that nothing of its start is missed.
      frame.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: true, flatten: true }),
    ]);
    await frame.send('Runtime.runIfWaitingForDebugger');
  }

  #see({ method, params, sessionId }: DevToolsEvent): void {
    switch (method) {
      case 'Target.attachedToTarget': {
        const frame = new Frame(this.#devTools, params.sessionId);
        this.#frames.set(params.sessionId, frame);
        // It may be gone before it is watched.
        this.#watch(frame).catch(() => {});
        break;
      }
      case 'Target.detachedFromTarget':
        this.#frames.delete(params.sessionId);
        break;
      case 'Runtime.consoleAPICalled':
        if (COMPLAINTS.includes(params.type)) {
          const text = params.args.map((arg: Fields) => String(arg.value ?? arg.description)).join(' ');
          this.complaints.push({ source: 'console', text, url: '' });
        }
        break;
      case 'Runtime.exceptionThrown': {
        const { text, exception, url = '' } = params.exceptionDetails;
        this.complaints.push({ source: 'exception', text: exception?.description ?? text, url });
        break;
      }
      case 'Log.entryAdded': {
        const { source, level, text, url = '' } = params.entry;
        if (COMPLAINTS.includes(level)) this.complaints.push({ source, text, url });
        break;
      }
      case 'Network.webSocketCreated':
        this.sockets.push(params.url);
        break;
      case 'Network.requestWillBeSent':
        this.#requests.set(`${sessionId} ${params.requestId}`, params.request);
        break;
      case 'Network.loadingFailed': {
        const { url = '', method: verb = '' } = this.#requests.get(`${sessionId} ${params.requestId}`) ?? {};
        const why = params.corsErrorStatus?.corsError ?? params.blockedReason ?? params.errorText;
        this.failures.push({ url, method: verb, why });
        break;
      }
    }
  }
}
